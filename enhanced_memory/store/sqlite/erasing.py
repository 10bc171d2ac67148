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

_COUNT: Final = "max(1, min(CAST(value AS INTEGER), 1000000000))"
"""Its number: where the row is, something is owed, whatever another hand wrote into it."""

_AGAIN_AFTER_S: Final = 60.0
"""After an attempt that failed, as on a full disk, the next comes so much later."""

_PIECE: Final = 16
"""Characters of an erased text in a row that a dictionary must not hold: words alone are nobody's."""


def owe(connection: Connection) -> None:
    """Note, in the transaction that erases an entity, that it is to be overwritten."""
    connection.execute(
        f"INSERT INTO meta (key, value) VALUES (?, '1') ON CONFLICT (key) DO UPDATE SET value = {_COUNT} + 1", (_OWED,)
    )


class Erasing:
    """What a store has erased and not overwritten yet. For the writer's thread, but for `add` and `is_late`."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._texts: list[Sequence[str] | None] = []
        self._inherited = 0
        """How many of those owed an earlier process erased; all of them are one None among the texts."""
        self._overwritten = 0
        """How many of the texts are overwritten in all but the log, which a reader holds."""
        self._next_at = 0.0
        self.attempts = 0
        """How often it was begun: a sample that was read before is not to be used after it."""

    def load(self, connection: Connection) -> None:
        """Take over what an earlier process owed; nobody knows its texts any more."""
        row = connection.execute(f"SELECT {_COUNT} FROM meta WHERE key = ?", (_OWED,)).fetchone()
        self._texts = [] if row is None else [None]
        self._inherited = 0 if row is None else int(row[0])

    def add(self, erased: Sequence[Sequence[str]]) -> None:
        """The texts of entities that were erased, one sequence for each."""
        self._texts.extend(erased)

    @property
    def is_owed(self) -> bool:
        """Whether anything is to be overwritten, the log left aside."""
        return len(self._texts) > self._overwritten

    @property
    def is_late(self) -> bool:
        """Whether an attempt failed, a reader holds the log, or the process ended before."""
        return bool(self._texts) and (self._next_at > 0 or self._overwritten > 0 or None in self._texts)

    def is_due(self, store_bytes: int, free_bytes: int | None) -> bool:
        """Whether it is time for another attempt, and there is room for the copy of the file that it needs."""
        due = self.is_owed and self.is_late and time.monotonic() >= self._next_at
        return due and (free_bytes is None or free_bytes > store_bytes)

    def overwrite(self, connection: Connection) -> bool:
        """Make anew what may hold it; returns whether dictionaries were dropped. Raises: sqlite3.Error, as DiskFull.

        The log may hold it until it is emptied: then comes `settle`.
        """
        self.attempts += 1
        self._next_at = time.monotonic() + _AGAIN_AFTER_S
        done = len(self._texts)
        dropped = self._drop_dictionaries(connection, self._texts[:done])
        connection.execute("INSERT INTO search_index (search_index) VALUES ('optimize')")
        connection.execute("VACUUM")
        self._overwritten = done
        self._next_at = 0.0
        return dropped

    def settle(self, connection: Connection) -> bool:
        """The log was emptied: returns whether something overwritten was owed until now. Raises: sqlite3.Error."""
        if not self._overwritten:
            return False
        done = self._texts[: self._overwritten]
        paid = len(done) - done.count(None) + (self._inherited if None in done else 0)
        connection.execute(f"DELETE FROM meta WHERE key = ? AND {_COUNT} <= ?", (_OWED, paid))
        connection.execute(f"UPDATE meta SET value = {_COUNT} - ? WHERE key = ?", (paid, _OWED))
        del self._texts[: self._overwritten]
        self._overwritten = 0
        return True

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
