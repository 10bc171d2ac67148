"""The wire by itself: cutting a stream into frames, decoding and encoding messages, the shape of a request."""

from __future__ import annotations

import itertools
import json
import math
import os
import socket
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhanced_memory import wire
from enhanced_memory.errors import InvalidRequest, ParseError, RequestError, TooLarge

LIMIT = 200


def outcomes(pieces: Iterable[bytes], limit: int = LIMIT) -> list[Any]:
    """What a framer makes of a stream that arrives in these pieces: messages, and the codes of what is wrong."""
    framer = wire.Framer(limit)
    found: list[Any] = []

    def take() -> None:
        while True:
            try:
                message = framer.next()
            except RequestError as error:
                found.append(error.code)
                continue
            if message is wire.WAITING:
                return
            found.append([message])

    for piece in pieces:
        framer.feed(piece)
        take()
        assert len(framer._buffer) <= limit, "a framer that waits holds more than its limit"
    framer.close()
    take()
    assert not framer.begun
    return found


def expected(stream: bytes, limit: int = LIMIT) -> list[Any]:
    """What the module's definition of a frame says about a stream, told byte by byte."""
    found: list[Any] = []
    frame = bytearray()
    depth, in_text, escaped = 0, False, False
    for byte in [*stream, None]:
        if byte is None or byte == ord("\n"):
            ended = True
        elif not frame and byte in b" \t\r":
            continue
        else:
            frame.append(byte)
            ended = False
            if frame[0] in b"{[":
                if in_text:
                    in_text = escaped or byte != ord('"')
                    escaped = not escaped and byte == ord("\\")
                elif byte == ord('"'):
                    in_text = True
                elif byte in b"{[":
                    depth += 1
                elif byte in b"}]":
                    depth -= 1
                    ended = depth == 0
        if ended and frame:
            try:
                found.append("too_large" if len(frame) > limit else [wire.decode(bytes(frame))])
            except ParseError as error:
                found.append(error.code)
        if ended:
            frame.clear()
            depth, in_text, escaped = 0, False, False
    return found


def in_pieces(stream: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = [0, *sorted({cut for cut in cuts if cut < len(stream)}), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(places)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FRAGMENTS = st.lists(
    st.sampled_from([bytes([byte]) for byte in b'{}[]"\\\n \t,:1a'])
    | st.sampled_from([b'{"a":1}', b'"}"', b'"\\""', b'{"b":["{",2]}', b"null", b"\r\n", b"x" * LIMIT, b" " * LIMIT])
    | st.sampled_from([b"\xff", b"\xc3\xa4", b"\\u00e4"]),
    max_size=30,
).map(b"".join)

# ----------------------------------------------------------------------------------------------------------- frames


@given(FRAGMENTS, st.sets(st.integers(0, 400)))
def test_frames_are_the_same_however_the_stream_is_cut(stream: bytes, cuts: set[int]) -> None:
    assert outcomes(in_pieces(stream, cuts)) == expected(stream)


@given(FRAGMENTS)
def test_frames_are_the_same_when_every_byte_comes_alone(stream: bytes) -> None:
    assert outcomes(in_pieces(stream, range(len(stream)))) == expected(stream)


@given(st.lists(JSON.filter(lambda value: isinstance(value, dict | list)), max_size=5), st.booleans(), st.booleans())
def test_objects_and_lists_come_back_with_and_without_newlines(values: list[Any], newlines: bool, ascii_: bool) -> None:
    stream = b"".join(json.dumps(value, ensure_ascii=ascii_).encode() + b"\n" * newlines for value in values)
    assert outcomes([stream], limit=1 << 20) == [[value] for value in values]


@pytest.mark.parametrize(
    ("stream", "found"),
    [
        (b"", []),
        (b"\n \r\n\t", []),
        (b'{"a":1}', [[{"a": 1}]]),
        (b'{"a":1}{"b":2}', [[{"a": 1}], [{"b": 2}]]),
        (b'{"a":1}{"b":2}\n', [[{"a": 1}], [{"b": 2}]]),
        (b'{"a":1} junk\n', [[{"a": 1}], "parse_error"]),
        (b'{"a":1}}\n{"b":2}', [[{"a": 1}], "parse_error", [{"b": 2}]]),
        (b'junk {"a":1}\n{"b":2}\n', ["parse_error", [{"b": 2}]]),
        (b'{"a":\n1}\n', ["parse_error", "parse_error"]),
        (b'{"a":"}"}', [[{"a": "}"}]]),
        (b'{"a":"\\"}"}{}', [[{"a": '"}'}], [{}]]),
        (b'{"a":"\\\\"}{}', [[{"a": "\\"}], [{}]]),
        (b"[1,[2]][3]\n", [[[1, [2]]], [[3]]]),
        (b"1 2\n3\n", ["parse_error", [3]]),
        (b'{"a":1', ["parse_error"]),
        (b"{]\n{}", ["parse_error", [{}]]),
    ],
)
def test_a_frame_ends_at_a_newline_at_the_end_or_at_its_closing_bracket(stream: bytes, found: list[Any]) -> None:
    assert outcomes([stream]) == found
    assert outcomes(in_pieces(stream, range(len(stream)))) == found


@pytest.mark.parametrize("tail", [b"", b" ", b"\n", b"junk", b'{"b'])
def test_an_object_is_there_as_soon_as_its_last_bracket_is(tail: bytes) -> None:
    framer = wire.Framer(LIMIT)
    framer.feed(b'{"a":[1]}' + tail)
    assert framer.next() == {"a": [1]}
    assert framer.frame_bytes == 9
    assert framer.next() is wire.WAITING
    assert framer.begun == bool(tail.strip())


def test_blanks_begin_no_frame() -> None:
    framer = wire.Framer(LIMIT)
    framer.feed(b" \t\r\n" * 1000)
    assert framer.next() is wire.WAITING
    assert not framer.begun


@pytest.mark.parametrize("newline", [b"\n", b""])
@pytest.mark.parametrize("piece_bytes", [1, 7, LIMIT, 10**6])
@pytest.mark.parametrize(
    "large", [b'{"a":"' + b"}" * LIMIT + b'"}', b"[" * LIMIT + b"]" * LIMIT, b'{"a":"' + b'\\"' * LIMIT + b'"}']
)
def test_a_frame_over_the_limit_is_too_large_and_the_next_one_is_read(
    large: bytes, piece_bytes: int, newline: bytes
) -> None:
    stream = large + newline + b'{"b":2}'
    pieces = [stream[start : start + piece_bytes] for start in range(0, len(stream), piece_bytes)]
    assert outcomes(pieces) == ["too_large", [{"b": 2}]]


def test_a_frame_of_exactly_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    framed = b'{"a":"%s"}'
    fits = framed % (b"x" * (LIMIT - len(framed % b"")))
    assert len(fits) == LIMIT
    for stream in (fits, fits + b"\n", b"  " + fits + b"  \n"):
        assert outcomes([stream]) == outcomes(in_pieces(stream, range(len(stream)))) == [[json.loads(fits)]]
    for stream in (framed % (b"x" * (LIMIT - 7)), framed % (b"x" * (LIMIT - 7)) + b"\n"):
        assert outcomes([stream]) == outcomes(in_pieces(stream, range(len(stream)))) == ["too_large"]


def test_a_frame_known_to_be_too_large_says_so_before_it_ends_and_only_once() -> None:
    framer = wire.Framer(LIMIT)
    framer.feed(b"x" * LIMIT)
    assert framer.next() is wire.WAITING
    assert not framer.told
    framer.feed(b"x")
    with pytest.raises(TooLarge):
        framer.next()
    assert framer.told
    framer.feed(b"x" * LIMIT + b'\n{"b":2}')
    assert framer.next() == {"b": 2}
    assert not framer.told


@pytest.mark.parametrize("piece", [b"[],", b"{},", b"[{}],"])
def test_a_message_of_very_many_lists_and_objects_is_too_large_and_the_next_one_is_read(piece: bytes) -> None:
    framer = wire.Framer(16 * 1024 * 1024)
    framer.feed(b'{"method":[' + piece * (wire.MAX_CONTAINERS + 1) + b'0]}\n{"b":2}\n')
    with pytest.raises(TooLarge, match="lists and objects"):
        framer.next()
    assert framer.next() == {"b": 2}


@pytest.mark.parametrize(("piece", "code"), [(b"[],", "too_large"), (b'{"a":', "parse_error")])
def test_a_frame_of_very_many_brackets_is_told_before_it_ends_and_passed_over_to_the_end_of_its_line(
    piece: bytes, code: str
) -> None:
    framer = wire.Framer(16 * 1024 * 1024)
    framer.feed(b"[")
    told = []
    for _ in range(2 * wire.MAX_CONTAINERS // 1000 + 100):
        framer.feed(piece * 1000)
        try:
            assert framer.next() is wire.WAITING
        except RequestError as error:
            told.append(error.code)
    assert told == [code]
    framer.feed(b'\n{"b":2}')
    assert framer.next() == {"b": 2}


def test_a_message_of_very_many_values_is_too_large_but_commas_in_its_texts_do_not_count() -> None:
    framer = wire.Framer(16 * 1024 * 1024)
    framer.feed(b"[" + b"0," * (wire.MAX_VALUES + 1) + b"0]\n")
    with pytest.raises(TooLarge, match="values"):
        framer.next()
    text = ',"' * (wire.MAX_VALUES + 1)
    framer.feed(wire.encode({"text": text}))
    assert framer.next() == {"text": text}


# --------------------------------------------------------------------------------------------------------- messages


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_decoding_undoes_encoding(message: dict[str, Any]) -> None:
    line = wire.encode(message)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert wire.decode(line) == message


@pytest.mark.parametrize("message", [{"a": math.nan}, {"a": math.inf}, {"a": "\ud800"}, {"a": {1}}])
def test_what_is_not_json_is_not_encoded(message: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        wire.encode(message)


NOT_JSON = {
    "nothing": b"",
    "a word": b"hello",
    "an unfinished object": b'{"a":',
    "single quotes": b"{'a':1}",
    "a trailing comma": b'{"a":1,}',
    "two values": b"1 2",
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "-Infinity": b'{"a":-Infinity}',
    "an overflowing number": b'{"a":1e999}',
    "a negative overflowing number": b'{"a":-1e999}',
    "an integer of 1,001 digits": b'{"a":' + b"9" * 1_001 + b"}",
    "a negative integer of 1,001 digits": b'{"a":-' + b"9" * 1_001 + b"}",
    "an integer of 10,000 digits": b'{"a":' + b"9" * 10_000 + b"}",
    "a lone surrogate, escaped": b'{"a":"\\ud800"}',
    "a lone low surrogate, escaped": b'{"a":"\\uDFFF"}',
    "surrogates in the wrong order": b'{"a":"\\udc00\\ud800"}',
    "a lone surrogate in a key": b'{"\\ud800":1}',
    "an encoded surrogate": b'{"a":"\xed\xa0\x80"}',
    "Latin-1": b'{"a":"\xe4"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "UTF-32": '{"a":1}'.encode("utf-32-le"),
    "a raw control character": b'{"a":"\x01"}',
    "a zero byte": b"\x00",
    "65 levels of lists": b"[" * 65 + b"]" * 65,
    "65 levels of objects": b'{"a":' * 64 + b"{}" + b"}" * 64,
    "a million levels": b"[" * 1_000_000,
    "a million levels in brackets of both kinds": b'{"a":[' * 500_000,
    "65 levels beside text full of brackets": b'["]]]]",' * 64 + b"[]" + b"]" * 64,
}


@pytest.mark.parametrize("data", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_what_is_not_json_within_the_limits_is_a_parse_error(data: bytes) -> None:
    with pytest.raises(ParseError) as caught:
        wire.decode(data)
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b' {"a": 1}\r\n', {"a": 1}),
        (b'{"a":' + b"9" * 1_000 + b"}", {"a": 10**1_000 - 1}),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\\\ud800"', "\\ud800"),
        (b'{"a":1e308}', {"a": 1e308}),
        (json.dumps("[{" * 1_000).encode(), "[{" * 1_000),
        (json.dumps('\\"[{' * 1_000).encode(), '\\"[{' * 1_000),
        (b'{"a":1,"a":2}', {"a": 2}),
    ],
)
def test_what_is_json_within_the_limits_is_decoded(data: bytes, value: Any) -> None:
    assert wire.decode(data) == value


def test_64_levels_are_decoded() -> None:
    assert wire.decode(b"[" * 64 + b"]" * 64)


def test_many_shallow_brackets_are_decoded() -> None:
    assert wire.decode(b"[" + b"[{}]," * 10_000 + b"0]")[-1] == 0


# --------------------------------------------------------------------------------------------------------- requests


def test_a_request_without_params_has_empty_ones_and_unknown_keys_are_left_out() -> None:
    assert wire.as_request({"method": "ping", "jsonrpc": "2.0"}) == {"method": "ping", "params": {}}


def test_a_request_keeps_what_the_protocol_knows() -> None:
    request = {
        "method": "ping",
        "params": {"a": [None]},
        "id": {"any": ["json"]},
        "namespace": "n" * 128,
        "client": "c",
        "request_id": "r",
    }
    assert wire.as_request(request) == request


@pytest.mark.parametrize(
    "message",
    [
        None,
        1,
        "ping",
        [],
        [{"method": "ping"}],
        {},
        {"params": {}},
        {"method": None},
        {"method": 1},
        {"method": "ping", "params": None},
        {"method": "ping", "params": []},
        {"method": "ping", "namespace": None},
        {"method": "ping", "namespace": ""},
        {"method": "ping", "namespace": "n" * 129},
        {"method": "ping", "client": 1},
        {"method": "ping", "request_id": 7},
    ],
)
def test_what_is_no_object_with_method_and_params_is_an_invalid_request(message: Any) -> None:
    with pytest.raises(InvalidRequest):
        wire.as_request(message)


# ------------------------------------------------------------------------------------------------------------ peers


def test_the_other_end_of_a_socket_pair_is_this_user() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert wire.peer_uid(one) == os.geteuid()


@given(
    st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=9), max_size=3),
    st.dictionaries(st.sampled_from("abc"), st.lists(st.text(max_size=9), max_size=2), min_size=1),
    st.dictionaries(st.sampled_from(["id", "name"]), st.integers() | st.text(max_size=9)),
)
def test_a_message_that_is_text_in_part_is_sent_as_if_it_were_whole(
    first: dict[str, Any], text: dict[str, Any], later: dict[str, Any]
) -> None:
    first = {f"first {key}": value for key, value in first.items()}
    message = wire.Spelled(wire.encode(text), **first)
    message.update(later)
    assert message.whole() == {**first, **text, **later}
    assert wire.encode(message) == wire.encode({**first, **text, **later})
