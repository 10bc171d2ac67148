"""Three-way merging of observations.

Above it lies the merge of branches. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence


def merged_observations(base: Sequence[str], source: Sequence[str], target: Sequence[str]) -> list[str]:
    """What both sides come to: what either added since `base` is in, what either removed is out.

    In the target's order, with what the source added behind it in the source's order.
    """
    common, ours, theirs = set(base), set(target), set(source)
    kept = [text for text in target if text in theirs or text not in common]
    return kept + [text for text in source if text not in common and text not in ours]
