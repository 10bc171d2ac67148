"""What code answers with becomes JSON data, bounded in bytes, and messages survive the pipe."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhanced_memory import wire
from enhanced_memory.errors import ParseError, TooLarge
from enhanced_memory.sandbox import frames, limits
from enhanced_memory.sandbox.plain import NotPlain, to_plain

MILLION = 1_000_000

json_data = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@given(json_data)
def test_json_data_stays_as_it_is(data: Any) -> None:
    assert to_plain(data, "x", MILLION) == data


@given(json_data)
def test_what_fits_to_the_byte_passes_and_one_byte_more_does_not(data: Any) -> None:
    size = len(wire.encode({"x": data})) - len(b'{"x":}\n')
    assert to_plain(data, "x", size) == data
    with pytest.raises(NotPlain, match=f"x is larger than {size - 1:,} bytes"):
        to_plain(data, "x", size - 1)


@given(st.dictionaries(st.none() | st.booleans() | st.integers() | st.dates(), json_data, max_size=1))
def test_keys_that_become_text_count_as_that_text(data: dict[Any, Any]) -> None:
    size = len(wire.encode(to_plain(data, "x", MILLION))) - len(b"\n")
    to_plain(data, "x", size)
    with pytest.raises(NotPlain):
        to_plain(data, "x", size - 1)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "holds nan"),
        ([float("-inf")], "holds -inf"),
        (b"x", "type bytes"),
        ({(1,): 2}, "key of type tuple"),
        ("\ud800", "half of a surrogate pair"),
        ({"\udfff": 1}, "half of a surrogate pair"),
        (10**1000, "an integer of about"),
        (1j, "type complex"),
    ],
)
def test_what_json_cannot_say_is_refused(value: Any, message: str) -> None:
    with pytest.raises(NotPlain, match=message):
        to_plain(value, "result", MILLION)


def test_nesting_ends_at_sixty_levels() -> None:
    nested: Any = 1
    for _ in range(limits.MAX_NESTING):
        nested = [nested]
    assert to_plain(nested, "x", MILLION) == nested
    with pytest.raises(NotPlain, match="nested deeper than 60 levels"):
        to_plain([nested], "x", MILLION)


def test_a_result_of_ten_to_the_twelve_elements_is_refused_after_a_mebibyte() -> None:
    bomb: Any = ["x"]
    for _ in range(12):
        bomb = [bomb] * 10
    with pytest.raises(NotPlain, match="larger than 1,048,576 bytes"):
        to_plain(bomb, "result", limits.MAX_RESULT_BYTES)


@given(st.dictionaries(st.text(), json_data), st.lists(st.integers(1, 50), min_size=1))
def test_a_message_survives_the_pipe_however_it_is_cut(message: dict[str, Any], cuts: list[int]) -> None:
    left = frames.encode(message, MILLION)
    turn = 0

    def read(count: int) -> bytes:
        nonlocal left, turn
        turn += 1
        some = min(count, cuts[turn % len(cuts)])
        piece, left = left[:some], left[some:]
        return piece

    assert frames.receive(read, MILLION) == message
    assert frames.receive(read, MILLION) is None


def test_a_message_over_the_limit_is_neither_sent_nor_read() -> None:
    with pytest.raises(TooLarge):
        frames.encode({"x": "x" * 100}, 100)
    message = frames.encode({"x": "x" * 100}, 1000)
    with pytest.raises(ParseError):
        frames.receive(lambda count: message[:count], 100)
