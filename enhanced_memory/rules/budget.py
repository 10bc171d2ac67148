"""What a text costs an assistant: an estimate of tokens that errs on the high side.

Above it lie the operations that keep replies within a budget. Pure.
"""

from __future__ import annotations

import json
from typing import Any

_BYTES_A_TOKEN = 3
"""English prose takes about 4.2 bytes of UTF-8 a token and compact JSON about 3.3, so 3 stays above both."""


def estimated_tokens(text: str) -> int:
    """Tokens of a text, at least as many as usual tokenizers make of prose and JSON."""
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_A_TOKEN)


def tokens_of(item: Any) -> int:
    """Tokens of plain data sent as compact JSON."""
    return estimated_tokens(json.dumps(item, ensure_ascii=False, separators=(",", ":")))
