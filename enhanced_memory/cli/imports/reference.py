"""The reference memory server's file: JSON Lines, one entity or relation a line. The daemon reads the lines itself.

Above it lies the import; below it the source, which bounds what is read.
"""

from __future__ import annotations

from collections.abc import Iterator

from enhanced_memory.cli.imports.items import Bad, Item, Record
from enhanced_memory.cli.imports.source import Source


def items(source: Source) -> Iterator[Item]:
    """The lines that hold something; one that is no text, or longer than a request may be, is told as bad."""
    longest = source.longest
    for part in source.parts():
        number = 0
        while raw := part.stream.readline(longest):
            number += 1
            place, size = f"line {number}", len(raw)
            if len(raw) == longest and not raw.endswith(b"\n"):
                while (rest := part.stream.readline(longest)) and not rest.endswith(b"\n"):
                    pass  # the rest of the line is passed over, never held whole
                yield Bad(place, f"is longer than a request may be ({longest:,} bytes)", number, size)
                continue
            try:
                text = raw.decode().rstrip("\r\n")
            except UnicodeDecodeError:
                yield Bad(place, "is not UTF-8", number, size)
                continue
            if text.strip():
                yield Record(place, number, text, size)
