"""The rules' analyser as a store wants it.

Above it lie the dispatcher and the offline programs, which open stores; below it the rules.
"""

from __future__ import annotations

from enhanced_memory.rules import text


class WordAnalyser:
    """Words of labels and observations, as `rules.text` tells them."""

    version = text.ANALYSER_VERSION
    label = staticmethod(text.analyse)
    observation = staticmethod(text.subject_and_body)
