"""The tokenizer of the English uncased BERT models, against what those make of the same texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhanced_memory.embedding.wordpiece import WordPiece

FIRST, LAST, UNKNOWN = 101, 102, 100
TOKENIZER = WordPiece()


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("Hello, world!", [7592, 1010, 2088, 999]),
        ("unaffable", [14477, 20961, 3468]),
        ("Caf\u00e9", [7668]),
        ("", []),
        ("don't", [2123, 1005, 1056]),
        ("x" * 101, [UNKNOWN]),
    ],
)
def test_a_text_becomes_the_numbers_that_the_models_were_trained_with(text: str, numbers: list[int]) -> None:
    assert TOKENIZER.encode(text, 64) == [FIRST, *numbers, LAST]


def test_every_chinese_character_is_a_word() -> None:
    assert TOKENIZER.encode("\u4e2d\u56fd", 64) == TOKENIZER.encode("\u4e2d \u56fd", 64)
    assert len(TOKENIZER.encode("\u4e2d\u56fd", 64)) == 4


@given(st.text(st.characters(max_codepoint=127)))
def test_the_quick_way_for_plain_text_gives_what_the_long_way_gives(text: str) -> None:
    assert TOKENIZER.encode(text, 64) == TOKENIZER.encode(f"\u200b{text}", 64)


@given(st.text(), st.integers(2, 40))
def test_any_text_has_a_start_an_end_and_no_more_pieces_than_asked_for(text: str, longest: int) -> None:
    numbers = TOKENIZER.encode(text, longest)
    assert (numbers[0], numbers[-1]) == (FIRST, LAST)
    assert len(numbers) <= longest
