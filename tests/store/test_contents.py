"""What stored contents tell of themselves."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from enhanced_memory.store.sqlite.codec import Codec
from enhanced_memory.store.sqlite.contents import Contents


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), unique=True))
def test_the_original_size_is_that_of_compact_json(observations: list[str]) -> None:
    compact = json.dumps({"observations": observations}, ensure_ascii=False, separators=(",", ":"))
    assert Contents(Codec()).pack(observations, None).original_bytes == len(compact.encode())


def test_large_contents_changed_under_the_same_checksum_are_not_taken_from_memory() -> None:
    contents = Contents(Codec())
    packed = contents.pack([f"{number} {number**7}" for number in range(5_000)], None)
    assert contents.unpack(packed.blob, packed.checksum).slots is None
    spoilt = packed.blob[:-1] + bytes([packed.blob[-1] ^ 1])
    try:
        contents.unpack(spoilt, packed.checksum)
    except ValueError:
        return
    raise AssertionError("changed bytes were taken for those in memory")
