"""The codec: what goes in comes out, what was tampered with is refused, and a blob never grows."""

from __future__ import annotations

import math
import os
import pickle
import pickletools
import struct
import threading
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from enhanced_memory.errors import TooLarge
from enhanced_memory.store.sqlite import codec as module
from enhanced_memory.store.sqlite.codec import (
    DICTIONARY_REACH,
    MAX_DEPTH,
    MAX_OPCODES,
    MAX_PLAIN_BYTES,
    Codec,
    CorruptBlob,
    checksum,
    observations_of,
)
from enhanced_memory.store.sqlite.dictionary import SHIPPED
from tests.conftest import PROMPTLY_S

DICTIONARIES = {0: b"", 1: SHIPPED, 300: b"Written on a Tuesday by the harbour. " * 20}
CODECS = [Codec(DICTIONARIES, current) for current in (None, *DICTIONARIES)]
CODEC = CODECS[2]

FACTS = {
    "observations": [
        "Marta keeps bees behind the garage.",
        "Prefers tea; café au lait on Sundays ☕",
        "C:\\new\nline",
        "",
    ],
    "slots": [0, 1, 7, 70_000],
    "more": {"strength": 0.5, "pinned": True, "gone": False, "none": None, "big": -(2**70)},
}

plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**300), 2**300) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)
plain_data = st.dictionaries(st.text(max_size=8), plain_values, max_size=5)
observations = st.builds(lambda texts: {"observations": texts}, st.lists(st.text(max_size=300), unique=True))
few_letters = st.builds(
    lambda texts: {"observations": texts},
    st.lists(st.text("aeinorst ", min_size=50, max_size=2_000), min_size=1, max_size=8),
)


def read(blob: bytes, codec: Codec = CODEC) -> dict[str, Any]:
    """Decode with a checksum that is right, as whoever can write the database can make it."""
    return codec.decode(blob, checksum(blob))


def stored(plain: bytes) -> bytes:
    """A blob that holds these bytes as its pickle."""
    return b"\x03" + plain


def value(opcodes: bytes) -> bytes:
    """A pickle of protocol 5 of {"k": what the opcodes make}."""
    return b"\x80\x05}\x8c\x01k" + opcodes + b"s."


def pickle_in(blob: bytes) -> bytes:
    """The pickle in a blob of ours, taken out with zlib alone."""
    if blob[0] == 3:
        return blob[1:]
    if blob[0] == 2:
        return zlib.decompress(blob[1:], -15)
    number, size = (blob[1], 2) if blob[1] < 128 else (blob[1] & 0x7F | blob[2] << 7, 3)
    return zlib.decompressobj(-15, zdict=DICTIONARIES[number]).decompress(blob[size:])


def is_plain(data: object) -> bool:
    if type(data) is dict:
        return all(type(key) is str and is_plain(item) for key, item in data.items())
    if type(data) is list:
        return all(map(is_plain, data))
    return data is None or type(data) in (str, int, float, bool)


def peak_bytes(call: Callable[[], object]) -> int:
    """The most memory that Python had at once for what the call asked for."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def refuse(blob: bytes, step: str | None = None) -> None:
    """The blob is refused, its checksum right, in a sentence that names the step."""
    with pytest.raises(CorruptBlob, match=step):
        read(blob)


# ------------------------------------------------------------------------------------------------ there and back


@given(plain_data, st.sampled_from(CODECS))
@example(FACTS, CODEC)
@example({}, CODEC)
def test_what_one_codec_encodes_another_decodes(data: dict[str, Any], codec: Codec) -> None:
    decoded = read(codec.encode(data))
    assert decoded == data
    assert repr(decoded) == repr(data)  # True is not 1, 0.0 is not -0.0, and keys keep their order


def test_floats_without_an_equal_come_back_too() -> None:
    assert math.isnan(read(CODEC.encode({"f": math.nan}))["f"])


@given(plain_data, st.sampled_from(CODECS))
@example(FACTS, CODEC)
def test_python_itself_reads_the_pickle_that_is_written(data: dict[str, Any], codec: Codec) -> None:
    plain = pickle_in(codec.encode(data))
    assert pickle.loads(plain) == data
    assert {name.name for name, _, _ in pickletools.genops(plain)} >= {"PROTO", "STOP"}


@given(plain_data, st.integers(0, 9))
@example(FACTS, 6)
def test_pickles_of_other_tools_are_read(data: dict[str, Any], level: int) -> None:
    assert read(zlib.compress(pickle.dumps(data, protocol=5), level)) == data
    assert read(zlib.compress(pickle._dumps(data, protocol=5), level)) == data  # type: ignore[attr-defined]


def test_large_pickles_of_other_tools_are_read_over_all_their_frames() -> None:
    data = {"observations": ["x" * 70_000, *(f"number {n}" for n in range(20_000)), "y" * 200_000, "end"]}
    plain = pickle.dumps(data, protocol=5)
    assert plain.count(b"\x95") > 2
    assert read(zlib.compress(plain)) == data


def test_text_that_other_tools_repeat_by_reference_is_read() -> None:
    text = "said once, kept twice"
    data = {"observations": [text, text, *(f"{n}" for n in range(300)), text]}
    assert read(zlib.compress(pickle.dumps(data, protocol=5))) == data
    late = {"observations": [f"{n}" for n in range(300)]}
    late["observations"].append(late["observations"][299])
    assert {name.name for name, _, _ in pickletools.genops(pickle.dumps(late, protocol=5))} >= {"LONG_BINGET"}
    assert read(zlib.compress(pickle.dumps(late, protocol=5))) == late


def test_the_checksum_is_the_sha256_of_the_stored_bytes() -> None:
    assert checksum(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# ------------------------------------------------------------------------------------------------ how large


@given(plain_data | observations | few_letters, st.sampled_from(CODECS))
@example({"observations": ["ritelisrdtl7e7titild7rsooreoirleitriei7l7toieei7otlilio7d7ds" * 9]}, CODEC)
def test_a_blob_is_never_larger_than_its_pickle_or_than_zlib_makes_it(data: dict[str, Any], codec: Codec) -> None:
    blob = codec.encode(data)
    plain = pickle_in(blob)
    assert len(blob) <= len(plain) + 1
    assert len(blob) <= len(zlib.compress(plain, 6)) or len(plain) > DICTIONARY_REACH


@given(observations | few_letters)
def test_a_blob_is_never_larger_than_the_guide_makes_it(data: dict[str, Any]) -> None:
    plain = pickle.dumps(data, protocol=5)
    assume(len(plain) <= DICTIONARY_REACH)
    assert len(CODEC.encode(data)) <= len(zlib.compress(plain, 6))


def test_a_dictionary_that_fits_makes_blobs_smaller() -> None:
    data = {"observations": ["Written on a Tuesday by the harbour.", "Written by the harbour on a Tuesday."]}
    assert len(CODECS[3].encode(data)) < len(CODECS[0].encode(data))


def test_a_long_pickle_does_without_a_dictionary() -> None:
    data = {"observations": ["The user prefers tea. " * 100] * (DICTIONARY_REACH // 2_000)}
    assert CODEC.encode(data)[0] == 2
    assert read(CODEC.encode(data)) == data


# ------------------------------------------------------------------------------------------------ what is not plain


class Name(str):
    pass


UNFIT = [(1,), b"x", {1}, object(), HTTPStatus.OK, {1: "x"}, {Name("k"): 1}, Counter("x"), 1j, range(3)]


@pytest.mark.parametrize("unfit", UNFIT)
def test_only_plain_data_is_encoded(unfit: object) -> None:
    with pytest.raises(TypeError):
        CODEC.encode({"k": unfit})
    with pytest.raises(TypeError):
        CODEC.encode({"k": [unfit]})


@pytest.mark.parametrize("unfit", [[], "x", None, 1])
def test_only_a_dict_is_encoded(unfit: Any) -> None:
    with pytest.raises(TypeError):
        CODEC.encode(unfit)


@pytest.mark.parametrize(
    "unfit", ["\ud800", "x\udfff", 2**2040, [[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]], ids=["hi", "lo", "int", "deep"]
)
def test_what_could_not_be_read_again_is_not_encoded(unfit: object) -> None:
    with pytest.raises(ValueError, match=r"surrogates|at most 255 bytes|levels deep"):
        CODEC.encode({"k": unfit})


def test_a_dict_that_holds_itself_is_not_encoded() -> None:
    data: dict[str, Any] = {}
    data["self"] = data
    with pytest.raises(ValueError, match="levels deep"):
        CODEC.encode(data)


@pytest.mark.parametrize(
    "large", [["x" * MAX_PLAIN_BYTES], [None] * MAX_OPCODES, ["x"] * MAX_OPCODES], ids=["bytes", "values", "lines"]
)
def test_data_over_the_bounds_is_too_large(large: list[object]) -> None:
    with pytest.raises(TooLarge):
        CODEC.encode({"observations": large})


def test_data_at_the_bounds_of_depth_and_of_integers_is_read_again() -> None:
    deep: list[Any] = []
    for _ in range(MAX_DEPTH - 2):
        deep = [deep]
    data = {"deep": deep, "high": 2**2039 - 1, "low": 1 - 2**2039}
    assert read(CODEC.encode(data)) == data
    assert read(zlib.compress(pickle.dumps(data, protocol=5))) == data


# -------------------------------------------------------------------------------------- size cap, checksum, inflating


def test_a_blob_over_the_size_cap_is_refused() -> None:
    with pytest.raises(CorruptBlob, match="size cap"):
        CODEC.decode(bytes(module.MAX_STORED_BYTES + 1), "")


def test_a_wrong_checksum_is_refused() -> None:
    with pytest.raises(CorruptBlob, match="checksum"):
        CODEC.decode(CODEC.encode(FACTS), checksum(b"something else"))


@pytest.mark.parametrize("absent", [None, "", "0"])
def test_an_absent_checksum_is_refused(absent: Any) -> None:
    with pytest.raises(CorruptBlob, match="checksum"):
        CODEC.decode(CODEC.encode(FACTS), absent)


@pytest.mark.parametrize("other", [None, "text", 5, 1.5])
def test_what_sqlite_holds_instead_of_bytes_is_refused(other: Any) -> None:
    with pytest.raises(CorruptBlob, match="not as bytes"):
        CODEC.decode(other, "")


def every_format() -> list[bytes]:
    """One blob of each format."""
    plain = pickle.dumps(FACTS, protocol=5)
    deflated = zlib.compress(plain, 6, -15)
    return [CODEC.encode(FACTS), b"\x02" + deflated, stored(plain), zlib.compress(plain)]


def test_there_is_a_blob_of_each_format_to_try() -> None:
    assert [blob[0] for blob in every_format()] == [0x01, 0x02, 0x03, 0x78]
    assert all(read(blob) == FACTS for blob in every_format())


@pytest.mark.parametrize("blob", every_format(), ids=lambda blob: f"format {blob[0]:#x}")
def test_a_flipped_bit_is_refused_at_every_position(blob: bytes) -> None:
    right = checksum(blob)
    for position in range(len(blob) * 8):
        flipped = bytearray(blob)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(CorruptBlob, match="checksum"):
            CODEC.decode(bytes(flipped), right)


@pytest.mark.parametrize("blob", every_format(), ids=lambda blob: f"format {blob[0]:#x}")
def test_a_flipped_bit_with_a_new_checksum_gives_plain_data_or_is_refused(blob: bytes) -> None:
    for position in range(len(blob) * 8):
        flipped = bytearray(blob)
        flipped[position // 8] ^= 1 << position % 8
        with suppress(CorruptBlob):
            assert is_plain(read(bytes(flipped)))


@pytest.mark.parametrize("blob", every_format(), ids=lambda blob: f"format {blob[0]:#x}")
def test_a_blob_cut_at_any_length_is_refused(blob: bytes) -> None:
    for length in range(len(blob)):
        refuse(blob[:length])


@pytest.mark.parametrize("blob", every_format(), ids=lambda blob: f"format {blob[0]:#x}")
@pytest.mark.parametrize("tail", [b"\x00", b".", b"x" * 1000])
def test_anything_behind_a_blob_is_refused(blob: bytes, tail: bytes) -> None:
    refuse(blob + tail)


@pytest.mark.parametrize("first", sorted(set(range(256)) - {0x01, 0x02, 0x03, 0x78}))
def test_a_format_that_does_not_exist_is_refused(first: int) -> None:
    refuse(bytes((first,)) + CODEC.encode(FACTS)[1:], "names no format")


def test_a_dictionary_that_is_not_here_is_named() -> None:
    blob = Codec({77: SHIPPED}, 77).encode(FACTS)
    refuse(blob, "dictionary 77, which is not here")


def test_a_dictionary_id_without_an_end_is_refused() -> None:
    refuse(b"\x01" + b"\xff" * 20, "no end")


def test_a_zlib_stream_that_asks_for_a_dictionary_is_refused() -> None:
    stream = zlib.compressobj(zdict=SHIPPED)
    refuse(stream.compress(pickle.dumps(FACTS, protocol=5)) + stream.flush(), "inflate")


def bomb(wrapped: bytes, wbits: int) -> bytes:
    """A blob of one megabyte that inflates to one gigabyte."""
    stream = zlib.compressobj(9, zlib.DEFLATED, wbits)
    first = stream.compress(bytes(1 << 20)) + stream.flush(zlib.Z_FULL_FLUSH)
    again = stream.compress(bytes(1 << 20)) + stream.flush(zlib.Z_FULL_FLUSH)
    return wrapped + first + again * 1023 + stream.flush()


@pytest.mark.parametrize(("wrapped", "wbits"), [(b"", 15), (b"\x02", -15), (b"\x01\x00", -15)])
def test_a_bomb_of_a_gigabyte_is_refused_at_the_bound(wrapped: bytes, wbits: int) -> None:
    blob = bomb(wrapped, wbits)
    assert len(blob) < 2 << 20
    assert peak_bytes(lambda: refuse(blob, "inflates to more")) < 3 * MAX_PLAIN_BYTES


# ------------------------------------------------------------------------------------------------ the opcode gate

PASSED = {
    "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "UNICODE", "BINUNICODE",
    "SHORT_BINUNICODE", "EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS", "MARK", "MEMOIZE",
    "BINGET", "LONG_BINGET", "FRAME", "STOP",
}  # fmt: skip
REFUSED = [opcode for opcode in pickletools.opcodes if opcode.name not in PASSED]


@pytest.mark.parametrize("opcode", REFUSED, ids=lambda opcode: opcode.name)
@pytest.mark.parametrize("argument", [b"", bytes(8), b"0\n0\n", b"\x01\x00\x00\x00x"])
def test_every_other_opcode_of_pickle_is_refused(opcode: pickletools.OpcodeInfo, argument: bytes) -> None:
    refuse(stored(value(opcode.code.encode("latin-1") + argument)), "opcode gate")


def test_bytes_that_are_no_opcodes_are_refused() -> None:
    known = {opcode.code.encode("latin-1") for opcode in pickletools.opcodes}
    for number in range(256):
        if bytes((number,)) not in known:
            refuse(stored(value(bytes((number,)))), "opcode gate")


class Planted:
    """Unpickled, it would make a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_would_run_a_command_runs_nothing(protocol: int, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    for data in (Planted(marker), {"observations": Planted(marker)}, {"observations": ["x", Planted(marker)]}):
        plain = pickle.dumps(data, protocol=protocol)
        for blob in (zlib.compress(plain), b"\x02" + zlib.compress(plain, 6, -15), stored(plain)):
            refuse(blob, "opcode gate")
    assert not marker.exists()
    pickle.loads(plain)
    assert marker.exists()  # the pickle was live


@pytest.mark.parametrize("plain", [b"cposix\nsystem\n.", b"\x8c\x05posix\x8c\x06system\x93.", b"Pid\n.", b"K\x01Q."])
def test_behind_the_gate_the_unpickler_looks_nothing_up(plain: bytes) -> None:
    with pytest.raises(CorruptBlob, match="the unpickler refuses to l"):
        module._loaded(b"\x80\x05" + plain)


def test_seventeen_bytes_that_would_take_gigabytes_take_none() -> None:
    blob = zlib.compress(b"\x80\x05}r\xff\xff\xff\x1f.")
    assert len(blob) == 17
    assert peak_bytes(lambda: refuse(blob, "opcode gate")) < 1 << 20


@pytest.mark.parametrize("protocol", range(5))
def test_another_protocol_than_five_is_refused(protocol: int) -> None:
    refuse(zlib.compress(pickle.dumps(FACTS, protocol=protocol)), "no pickle of protocol 5")


@pytest.mark.parametrize("claimed", [0x8D, 0x8B, 0x58, 0x8C, 0x8A])
def test_a_length_past_the_end_takes_no_memory(claimed: int) -> None:
    blob = stored(value(bytes((claimed,)) + b"\xff\xff\xff\x7f" + b"\x00\x00\x00\x00"))
    assert peak_bytes(lambda: refuse(blob, "opcode gate")) < 1 << 20


def test_a_frame_past_the_end_is_refused() -> None:
    refuse(stored(b"\x80\x05\x95" + struct.pack("<Q", 3) + b"}."), "frame")
    refuse(stored(b"\x80\x05\x95" + struct.pack("<Q", 2**63) + b"}."), "frame")


def test_a_frame_inside_another_is_refused() -> None:
    inner = b"\x95" + struct.pack("<Q", 2) + b"}."
    refuse(stored(b"\x80\x05\x95" + struct.pack("<Q", len(inner)) + inner), "frame")


FROM_MEMO = b"h\x00|h\x05|]\x94h\x01a|](h\x00e|j\x00\x00\x00\x00|\x8c\x01x\x94\x94|K\x01\x94|(\x94".split(b"|")


@pytest.mark.parametrize("opcodes", FROM_MEMO)
def test_the_memo_gives_back_only_text_it_was_given(opcodes: bytes) -> None:
    refuse(stored(b"\x80\x05}\x94\x8c\x01k" + opcodes + b"s."), "opcode gate")


def test_a_list_again_is_refused_even_where_it_would_do_no_harm() -> None:
    shared = ["x"]
    refuse(zlib.compress(pickle.dumps({"a": shared, "b": shared}, protocol=5)), "a list or dict again")


def test_text_repeated_beyond_the_bound_is_refused() -> None:
    text = b"X" + struct.pack("<I", 1 << 20) + b"x" * (1 << 20) + b"\x94"
    refuse(stored(value(b"](" + text + b"h\x00" * 65 + b"e")), "too much text again")
    assert len(read(stored(value(b"](" + text + b"h\x00" * 63 + b"e")))["k"]) == 64


def test_more_opcodes_than_the_bound_are_refused() -> None:
    refuse(stored(value(b"](" + b"N" * MAX_OPCODES + b"e")), "more than 1,000,000 opcodes")
    refuse(stored(value(b"](" + b"V\n" * (MAX_OPCODES + 1) + b"e")), "more than 1,000,000 lines")


@pytest.mark.parametrize("depth", [MAX_DEPTH, 1_000, 300_000])
def test_data_nested_too_deep_is_refused(depth: int) -> None:
    refuse(stored(value(b"]" * depth + b"a" * (depth - 1))), "nested too deep")
    refuse(stored(value(b"}\x8c\x01k" * (depth - 1) + b"}" + b"s" * (depth - 1))), "nested too deep")
    refuse(stored(value(b"](" * depth + b"e" * depth)), "nested too deep")


@pytest.mark.parametrize("key", [b"K\x01", b"N", b"G" + bytes(8), b"]", b"}", b"\x8a\x09" + bytes(8) + b"\x01"])
def test_keys_that_are_not_text_are_refused(key: bytes) -> None:
    refuse(stored(b"\x80\x05}" + key + b"Ns."), "keys are not text")
    refuse(stored(b"\x80\x05}(\x8c\x01k" + b"N" + key + b"Nu."), "keys are not text")


@pytest.mark.parametrize(
    "text", [b"\x8c\x03\xed\xa0\x80", b"X\x03\x00\x00\x00\xed\xbf\xbf", b"\x8c\x01\xff", b"\x8c\x02\xc0\x80"]
)
def test_text_that_is_not_utf8_is_refused(text: bytes) -> None:
    refuse(stored(value(text)), "opcode gate")


@pytest.mark.parametrize("line", [b"V\\ud800\n", b"V\\u0041\n", b"V\\\n", b"V\xe9\n", b"Vx", b"V", b"Vx\nV\\ud800\n"])
def test_a_line_with_escapes_or_without_an_end_is_refused(line: bytes) -> None:
    refuse(stored(value(line)), "line of text")


MALFORMED = (
    [b"", b"\x80", b"\x80\x05", b"\x80\x05}\x80\x05."]
    + [
        b"\x80\x05" + rest
        for rest in (b".", b"}", b"].", b"N.", b"Vx\n.", b"}}.", b"}(.", b"(}.", b"}.}.", b"}..", b"}\x95.")
    ]
    + [b"\x80\x05" + rest for rest in (b"a.", b"e.", b"s.", b"u.", b"(e.", b"}a.", b"}(e.", b"}Na.", b"}Ns.", b"]NNs.")]
    + [b"\x80\x05" + rest for rest in (b"}(Nu.", b"}Vk\n(Ns.", b"}Vk\n](Na.", b"}Vk\nVk\nNs.", b"}(Vk\nu.")]
)


@pytest.mark.parametrize("plain", MALFORMED)
def test_anything_but_one_well_formed_dict_is_refused(plain: bytes) -> None:
    refuse(stored(plain), "opcode gate")


@given(st.binary(max_size=60))
def test_random_opcodes_give_plain_data_or_are_refused(opcodes: bytes) -> None:
    with suppress(CorruptBlob):
        assert is_plain(read(stored(b"\x80\x05}" + opcodes)))


VALID_PARTS = [b"}", b"]", b"(", b"a", b"e", b"s", b"u", b"Vk\n", b"\x8c\x01x", b"K\x01", b"N", b"\x94", b"h\x00", b"."]


@given(st.lists(st.sampled_from(VALID_PARTS), max_size=25).map(b"".join))
@example(b"](Vk\nK\x01ea.")
def test_what_the_gate_lets_through_is_what_python_reads(opcodes: bytes) -> None:
    plain = b"\x80\x05}\x8c\x01k" + opcodes
    try:
        data = read(stored(plain))
    except CorruptBlob:
        return
    assert is_plain(data)
    assert pickle.loads(plain) == data


@given(
    st.lists(
        st.sampled_from([b"(", b"Vk\n", b"Vl\n", b"V\n", b"V\\\n", b"V\xe9\n", b"a", b"e", b"s", b".", b"]"]),
        max_size=8,
    )
)
@example([b"Vk\n", b"a", b"s", b"."])
@example([b"(", b"Vk\n", b"V\n", b"e", b"s", b"."])
@example([b"(", b"Vk\n", b"a", b"s", b"."])
@example([b"Vk\n", b"e", b"s", b"."])
def test_what_is_read_by_its_lines_alone_is_what_python_reads(parts: list[bytes]) -> None:
    plain = b"\x80\x05}Vobservations\n]" + b"".join(parts)
    try:
        data = read(stored(plain))
    except CorruptBlob:
        return
    assert pickle.loads(plain) == data


# ------------------------------------------------------------------------------------------------ shape


def test_the_observations_are_read_whatever_stands_beside_them() -> None:
    assert observations_of(FACTS) == FACTS["observations"]
    assert observations_of({"observations": []}) == []


@pytest.mark.parametrize(
    "data", [{}, [], None, "x", {"observations": "x"}, {"observations": ["x", 1]}, {"observations": None}]
)
def test_another_shape_is_refused(data: object) -> None:
    with pytest.raises(CorruptBlob, match="shape"):
        observations_of(data)


# ------------------------------------------------------------------------------------------------ dictionaries


@given(st.integers(0, 2**31 - 1))
@example(127)
@example(128)
@example(2**31 - 1)
def test_a_dictionary_is_found_under_any_id(number: int) -> None:
    codec = Codec({number: SHIPPED}, number)
    blob = codec.encode(FACTS)
    assert blob[0] == 1
    assert read(blob, codec) == FACTS


def test_a_dictionary_added_later_makes_its_blobs_readable() -> None:
    codec = Codec()
    blob = CODEC.encode(FACTS)
    with pytest.raises(CorruptBlob):
        read(blob, codec)
    codec.add_dictionary(1, SHIPPED)
    assert read(blob, codec) == FACTS
    assert codec.encode(FACTS)[0] == 2
    codec.use_dictionary(1)
    assert codec.encode(FACTS) == blob


def test_a_dictionary_never_changes_under_its_id() -> None:
    codec = Codec({1: SHIPPED})
    codec.add_dictionary(1, SHIPPED)
    with pytest.raises(ValueError, match="other bytes"):
        codec.add_dictionary(1, b"other")


@pytest.mark.parametrize("number", [-1, 2**31])
def test_an_id_out_of_range_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="is not in"):
        Codec({number: SHIPPED})


def test_a_dictionary_is_used_only_once_it_was_added() -> None:
    with pytest.raises(ValueError, match="was not added"):
        Codec(current=1)


def test_threads_read_and_write_while_dictionaries_come() -> None:
    codec = Codec({1: SHIPPED}, 1)
    together = threading.Barrier(5)

    def work(worker: int) -> None:
        together.wait(PROMPTLY_S)
        for turn in range(200):
            data = {"observations": [f"worker {worker} is in turn {turn}"]}
            assert read(codec.encode(data), codec) == data

    def add() -> None:
        together.wait(PROMPTLY_S)
        for number in range(2, 50):
            codec.add_dictionary(number, SHIPPED[number:])
            codec.use_dictionary(number)

    with ThreadPoolExecutor(5) as pool:
        tasks = [pool.submit(add), *(pool.submit(work, worker) for worker in range(4))]
        for task in tasks:
            task.result(30)
