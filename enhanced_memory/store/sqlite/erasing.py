"""What is left of the erased: dictionaries made from it, and free space in the file, until both were made anew.

Above it lie the store, whose writer does it, and the entities, which note what is owed; below it SQLite and the codec.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from enhanced_memory.store.sqlite import schema
from enhanced_memory.store.sqlite.codec import Codec, checksum, dictionary_of
from enhanced_memory.store.sqlite.connections import Connection

_OWED: Final = "erasures_owed"
"""The row of `meta` that counts entities that were erased, but not yet overwritten; written with the erasure itself."""

_AGAIN_AFTER_S: Final = 60.0
"""After an attempt that failed, as on a full disk, the next comes so much later."""

_PIECE: Final = 16
"""Characters of an erased text in a row that a dictionary must not hold: words alone are nobody's."""


def owe(connection: Connection) -> None:
    """Note, in the transaction that erases an entity, that it is to be overwritten."""
    connection.execute(
        "INSERT INTO meta (key, value) VALUES (?, '1') ON CONFLICT (key) DO UPDATE SET value = value + 1", (_OWED,)
    )


class Erasing:
    """What a store has erased and not overwritten yet. For the writer's thread, but for `add` and `is_late`."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._texts: list[Sequence[str] | None] = []
        self._next_at = 0.0
        self.attempts = 0
        """How often it was begun: a sample that was read before is not to be used after it."""

    def load(self, connection: Connection) -> None:
        """Take over what an earlier process owed; nobody knows its texts any more."""
        row = connection.execute("SELECT value FROM meta WHERE key = ?", (_OWED,)).fetchone()
        self._texts = [None] * (0 if row is None else int(row[0]))

    def add(self, erased: Sequence[Sequence[str]]) -> None:
        """The texts of entities that were erased, one sequence for each."""
        self._texts.extend(erased)

    @property
    def is_owed(self) -> bool:
        """Whether anything is to be overwritten."""
        return bool(self._texts)

    @property
    def is_late(self) -> bool:
        """Whether an attempt failed, or the process ended before it."""
        return bool(self._texts) and (self._next_at > 0 or None in self._texts)

    def is_due(self, store_bytes: int, free_bytes: int | None) -> bool:
        """Whether it is time for another attempt, and there is room for the copy of the file that it needs."""
        return self.is_late and time.monotonic() >= self._next_at and (free_bytes is None or free_bytes > store_bytes)

    def overwrite(self, connection: Connection) -> bool:
        """Make anew what may hold it; returns whether dictionaries were dropped. Raises: sqlite3.Error, as DiskFull."""
        self.attempts += 1
        self._next_at = time.monotonic() + _AGAIN_AFTER_S
        done = list(self._texts)
        dropped = self._drop_dictionaries(connection, done)
        connection.execute("INSERT INTO search_index (search_index) VALUES ('optimize')")
        connection.execute("VACUUM")
        connection.execute("UPDATE meta SET value = value - ? WHERE key = ?", (len(done), _OWED))
        connection.execute("DELETE FROM meta WHERE key = ? AND CAST(value AS INTEGER) <= 0", (_OWED,))
        del self._texts[: len(done)]
        self._next_at = 0.0
        return dropped

    def _drop_dictionaries(self, connection: Connection, erased: Sequence[Sequence[str] | None]) -> bool:
        """Pack anew whatever was made with a dictionary that holds a piece of the texts, and delete that dictionary.

        Where the texts are not known, that is every one that was made from memories.
        """
        pieces = {
            text[at : at + _PIECE].encode()
            for texts in erased
            for text in texts or ()
            for at in range(max(1, len(text) - _PIECE + 1))
        }
        pieces = {piece for piece in pieces if len(piece) >= _PIECE}
        rows = connection.execute(
            "SELECT id, data FROM dictionaries WHERE id <> ?", (schema.SHIPPED_DICTIONARY,)
        ).fetchall()
        unwanted = {number for number, data in rows if None in erased or any(piece in data for piece in pieces)}
        if not unwanted:
            return False
        self._codec.use_dictionary(schema.SHIPPED_DICTIONARY)
        connection.execute("BEGIN IMMEDIATE")
        try:
            for table in ("entities", "versions"):
                self._pack_anew(connection, table, unwanted)
            for number in unwanted:
                connection.execute("DELETE FROM dictionaries WHERE id = ?", (number,))
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        return True

    def _pack_anew(self, connection: Connection, table: str, unwanted: set[int]) -> None:
        """Every blob of a table that was made with one of these dictionaries, with the shipped one."""
        rows = connection.execute(
            f"SELECT id, compressed_data, checksum FROM {table} WHERE compressed_data IS NOT NULL"
        )
        for number, blob, stored in rows.fetchall():
            try:
                if dictionary_of(blob) not in unwanted:
                    continue
                packed = self._codec.encode(self._codec.decode(blob, stored if table == "entities" else stored.hex()))
            except (ValueError, TypeError, AttributeError):  # damaged before; without its dictionary it stays so
                continue
            if table == "entities":
                connection.execute(
                    "UPDATE entities SET compressed_data = ?, checksum = ?, compressed_size = ?,"
                    " compression_ratio = CAST(? AS REAL) / original_size WHERE id = ?",
                    (packed, checksum(packed), len(packed), len(packed), number),
                )
            else:
                digest = bytes.fromhex(checksum(packed))
                connection.execute(
                    "UPDATE versions SET compressed_data = ?, checksum = ? WHERE id = ?", (packed, digest, number)
                )
