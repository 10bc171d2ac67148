"""Files of other programs, changed with care: seen first as a diff, replaced in one step, the old one kept beside.

Above it lies `setup`; below it the operating system.
"""

from __future__ import annotations

import difflib
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 64 * 1024 * 1024
"""A configuration larger than this is refused; the largest in use, Claude Code's, has a few."""

_BACKUPS_READ: Final = 50


class Trouble(Exception):
    """A file that is left as it is, and why."""


@dataclass(frozen=True)
class Change:
    """What a file is to become. `before` and `after`: its bytes, None where there is no file."""

    path: Path
    before: bytes | None
    after: bytes | None

    @property
    def needed(self) -> bool:
        """Whether there is anything to do."""
        return self.before != self.after

    def diff(self) -> str:
        """The change as a unified diff."""
        old, new = ("/dev/null" if content is None else str(self.path) for content in (self.before, self.after))
        return "".join(difflib.unified_diff(_lines(self.before), _lines(self.after), old, new, n=2))

    def make(self) -> Path | None:
        """Change the file, in one step; the copy that was kept of the old one.

        A link is followed and stays. Mode and owner are kept; a new file is its owner's alone, as are new folders.

        Raises: Trouble: somebody else has changed it since it was read; OSError.
        """
        target = Path(os.path.realpath(self.path))
        if _content(target) != self.before:
            raise Trouble(f"{self.path} was changed by another program meanwhile; try again")
        kept = None if self.before is None else _kept(self.path, self.before, target)
        if self.after is None:
            target.unlink()
            return kept
        folders = [folder for folder in (target.parent, *target.parents) if not folder.exists()]
        for folder in reversed(folders):
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with open(descriptor, "wb") as file:
                if self.before is not None:
                    _as_before(file.fileno(), target)
                file.write(self.after)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        return kept


def read(path: Path) -> bytes | None:
    """The bytes of a file, None where there is none. Raises: Trouble: it is no file, or too large; OSError."""
    return _content(Path(os.path.realpath(path)))


def text_of(path: Path, content: bytes | None) -> str:
    """A file's bytes as text. Raises: Trouble: they are not UTF-8."""
    try:
        return (content or b"").decode("utf-8")
    except UnicodeDecodeError as error:
        line = (content or b"")[: error.start].count(b"\n") + 1
        raise Trouble(f"{path} is not written in UTF-8 (line {line}), and is left as it is") from error


def backups(path: Path) -> Iterator[bytes]:
    """The contents of the copies kept of `path`, the newest first."""
    for kept in sorted(path.parent.glob(f"{path.name}.backup-*"), reverse=True)[:_BACKUPS_READ]:
        with suppress(OSError, Trouble):
            content = read(kept)
            if content is not None:
                yield content


def _content(path: Path) -> bytes | None:
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Trouble(f"{path} is no file, and is left as it is")
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        raise Trouble(f"{path} is a folder, and is left as it is") from None
    if len(content) > MAX_BYTES:
        raise Trouble(f"{path} is larger than {MAX_BYTES >> 20} MiB, and is left as it is")
    return content


def _kept(path: Path, content: bytes, target: Path) -> Path:
    """Write a copy of the file's bytes beside `path`, with the mode of the file; where it is."""
    when = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    for number in range(1, 1000):
        kept = path.with_name(f"{path.name}.backup-{when}" + (f"-{number:03}" if number > 1 else ""))
        with suppress(FileExistsError), open(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copy:
            _as_before(copy.fileno(), target)
            copy.write(content)
            return kept
    raise Trouble(f"{path} has a thousand copies of this second; remove some")


def _as_before(descriptor: int, target: Path) -> None:
    """Give an open file the mode of `target`, and its owner as far as we may."""
    was = target.stat()
    with suppress(PermissionError):
        os.fchown(descriptor, was.st_uid, was.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(was.st_mode))


def _lines(content: bytes | None) -> list[str]:
    """Lines for a diff, each with its end; carriage returns are shown, as is a last line without an end."""
    lines = (content or b"").decode("utf-8", "replace").split("\n")
    shown = [line.replace("\r", "\\r") + "\n" for line in lines[:-1]]
    return [*shown, f"{lines[-1]}\n\\ No newline at end of file\n"] if lines[-1] else shown
