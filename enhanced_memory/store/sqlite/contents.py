"""Contents: observations to stored bytes and back, with what was read lately kept decoded.

Above it lie `entities` and `versions`; below it the codec.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from enhanced_memory.store.sqlite.codec import Codec, CorruptBlob, checksum, observations_of

SMALL_BLOB = 8 * 1024
_KEPT_SMALL = 8_192
_KEPT_LARGE = 16
"""Blobs kept decoded: at most 8,192 of up to 8 KiB, and 16 larger ones, which are kept when they are written too."""


def _json_bytes(observations: Sequence[str]) -> int:
    """Bytes of {"observations":[...]} as compact JSON, without making it: one text escaped is quicker than many."""
    escaped = len(json.encoder.encode_basestring("".join(observations)).encode()) - 2
    return 19 + escaped + 2 * len(observations) + max(0, len(observations) - 1)


@dataclass(frozen=True, slots=True)
class Packed:
    """Stored bytes with their SHA-256 (hex), and the size of the same as compact JSON."""

    blob: bytes
    checksum: str
    original_bytes: int


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Observations with their places in the index (None: 1, 2, 3, …)."""

    observations: tuple[str, ...]
    slots: tuple[int, ...] | None


class Contents:
    """Packs and unpacks; safe for many threads.

    What was unpacked is kept by its bytes and checksum together, so bytes that changed are never mistaken for it.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._small = lru_cache(_KEPT_SMALL)(self._unpack)
        self._large: OrderedDict[str, tuple[bytes, Unpacked]] = OrderedDict()
        self._large_lock = threading.Lock()

    @property
    def dictionary(self) -> int | None:
        """The dictionary that what is packed now is made with."""
        return self._codec.dictionary_id

    def pack(self, observations: Sequence[str], slots: Sequence[int] | None) -> Packed:
        """The observations as stored."""
        data: dict[str, Any] = {"observations": list(observations)}
        original_bytes = _json_bytes(observations)
        if slots is not None:
            data["slots"] = list(slots)
        blob = self._codec.encode(data)
        packed = Packed(blob, checksum(blob), original_bytes)
        if len(blob) > SMALL_BLOB:  # an entity that grows by single observations is read again at the next of them
            self._keep(packed.checksum, blob, Unpacked(tuple(observations), None if slots is None else tuple(slots)))
        return packed

    def unpack(self, blob: bytes, stored_checksum: str) -> Unpacked:
        """The observations again. Raises: CorruptBlob: the bytes fail a check; the sentence says which."""
        if not isinstance(blob, bytes) or not isinstance(stored_checksum, str):
            raise CorruptBlob("its bytes or their checksum are of another kind")
        if len(blob) <= SMALL_BLOB:
            return self._small(blob, stored_checksum)
        with self._large_lock:
            kept = self._large.get(stored_checksum)
        if kept is not None and kept[0] == blob:
            return kept[1]
        unpacked = self._unpack(blob, stored_checksum)
        self._keep(stored_checksum, blob, unpacked)
        return unpacked

    def unpack_once(self, blob: bytes, stored_checksum: str) -> Unpacked:
        """The same for a reader of everything, which must not push out what others read often. Raises: CorruptBlob."""
        if not isinstance(blob, bytes) or not isinstance(stored_checksum, str):
            raise CorruptBlob("its bytes or their checksum are of another kind")
        return self._unpack(blob, stored_checksum)

    def _keep(self, stored_checksum: str, blob: bytes, unpacked: Unpacked) -> None:
        with self._large_lock:
            self._large[stored_checksum] = (blob, unpacked)
            self._large.move_to_end(stored_checksum)
            while len(self._large) > _KEPT_LARGE:
                self._large.popitem(last=False)

    def pack_delta(self, delta: dict[str, Any]) -> Packed:
        """A delta as stored."""
        blob = self._codec.encode(delta)
        return Packed(blob, checksum(blob), 0)

    def unpack_delta(self, blob: bytes, stored_checksum: str) -> dict[str, Any]:
        """The delta again. Raises: CorruptBlob."""
        delta = self._codec.decode(blob, stored_checksum)
        if not isinstance(delta, dict):
            raise CorruptBlob("it holds something else than a delta")
        return delta

    def _unpack(self, blob: bytes, stored_checksum: str) -> Unpacked:
        data = self._codec.decode(blob, stored_checksum)
        observations = tuple(observations_of(data))
        slots = data.get("slots") if isinstance(data, dict) else None
        if slots is None:
            return Unpacked(observations, None)
        if not isinstance(slots, list) or len(slots) != len(observations) or not all(type(s) is int for s in slots):
            raise CorruptBlob("its index places do not fit its observations")
        return Unpacked(observations, tuple(slots))
