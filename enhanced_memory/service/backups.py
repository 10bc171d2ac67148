"""Backups as files: where they lie, what they are called, how they are packed, unpacked and thinned out.

Above it lie the daemon's upkeep and the offline programs; below it the operating system. A backup is one database file,
compressed by gzip, with its SHA-256 beside it in a file that `sha256sum -c` reads.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from enhanced_memory.errors import AlreadyExists, Corrupt, DiskFull, EnhancedMemoryError, InvalidParams, NotFound
from enhanced_memory.settings import Settings

KEPT: Final = timedelta(days=7)
"""How long backups in the folder are kept; the newest is kept whatever its age. Source: contract, upkeep."""

_TIME: Final = "%Y%m%dT%H%M%SZ"
_CHUNK: Final = 1024 * 1024
_SYNC_EVERY: Final = 2 * 1024 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS
_LEVEL: Final = 6
_PLAIN: Final = b"SQLite format 3\0"
_ROOM_LEFT: Final = 16 * 1024 * 1024
"""Bytes of the disk that unpacking leaves free."""

Progress = Callable[[int, int], None]


class Made(NamedTuple):
    """A backup in a folder: when it was made, and its file."""

    at: datetime
    path: Path


def folder_of(settings: Settings) -> Path:
    """Where backups go that are given no path: the setting, else `backups` beside the database."""
    if settings.backup_dir:
        return Path(settings.backup_dir)
    return Path(os.path.realpath(settings.db_path)).parent / "backups"


def listed(folder: Path, database: str) -> list[Made]:
    """The backups of a database in a folder, the oldest first; files with other names are nobody's business."""
    pattern = re.compile(re.escape(Path(database).stem) + r"-(\d{8}T\d{6}Z)(?:-\d+)?\.db\.gz")
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            match = pattern.fullmatch(name)
            with contextlib.suppress(ValueError):
                if match:
                    found.append(Made(datetime.strptime(match[1], _TIME).replace(tzinfo=UTC), folder / name))
    return sorted(found)


def newest(folder: Path, database: str) -> Made:
    """The newest backup. Raises: NotFound."""
    found = listed(folder, database)
    if not found:
        raise NotFound(f"there is no backup in {folder}", hint="make one with `enhanced-memory backup`")
    return found[-1]


def make(
    settings: Settings,
    path: str | None,
    now: datetime,
    copy: Callable[[str, Progress], dict[str, int]],
    pack: Callable[[str, str, Progress], dict[str, Any]],
    progress: Progress,
) -> dict[str, Any]:
    """Make a backup: `copy` the database, `pack` the copy once it is checked, and give the file its name last.

    Returns path, bytes, sha256, entities, problems (damaged things that the database holds as well) and deleted (old
    backups). Raises: InvalidParams, AlreadyExists: the path cannot be taken; DiskFull; Corrupt: the copy is no good.
    Nothing is left of a backup that failed.
    """
    folder, stem = _place(settings, path)
    _clear_lost(folder, stem)
    begun = folder / f".{stem}-{now.strftime(_TIME)}-{os.getpid()}"
    copied, packed = Path(f"{begun}.copy"), Path(f"{begun}.part")
    with _cleared(copied, packed), _full_disk_told(folder):
        for file in (copied, packed):
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        counts = copy(str(copied), lambda done, total: progress(10 * done // max(total, 1), 100))
        result = pack(str(copied), str(packed), lambda done, total: progress(10 + 90 * done // max(total, 1), 100))
        if result["counts"] != counts:
            raise Corrupt("the backup does not hold what the database held when it began", hint="make it again")
        taken = _named(packed, Path(path) if path is not None else None, folder, stem, now)
        _write_digest(taken, result["sha256"])
        sync_folder(folder)
    return {
        "path": str(taken),
        "bytes": taken.stat().st_size,
        "sha256": result["sha256"],
        "entities": result["entities"],
        "problems": result["problems"],
        "deleted": _thinned_out(folder, settings.db_path, now) if path is None else [],
    }


def pack(source: str, target: str, progress: Progress) -> str:
    """Compress a file into an existing one and sync it; returns the SHA-256 of what was written."""
    digest = hashlib.sha256()
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    size, done, unsynced = os.path.getsize(source), 0, 0
    with open(source, "rb") as plain, open(target, "wb") as packed:
        while chunk := plain.read(_CHUNK):
            part = stream.compress(chunk)
            digest.update(part)
            packed.write(part)
            unsynced += len(part)
            if unsynced >= _SYNC_EVERY:  # a little at a time: syncing all of it at once would hold up the log's syncs
                packed.flush()
                os.fsync(packed.fileno())
                unsynced = 0
            done += len(chunk)
            progress(done, size)
        end = stream.flush()
        digest.update(end)
        packed.write(end)
        packed.flush()
        os.fsync(packed.fileno())
    return digest.hexdigest()


def unpack(backup: str, target: str, header_bytes: int, size_of: Callable[[bytes], int], progress: Progress) -> None:
    """Write the file that is in a backup into the new file `target`, and sync it.

    Its first bytes tell how large it is, so a file that inflates to more is refused, and one that is no database at
    once. Raises: NotFound, Corrupt: it is cut off, changed, or something else; DiskFull. A target half written stays.
    """
    try:
        packed = open(backup, "rb", opener=_without_waiting)  # noqa: SIM115 - closed below
    except OSError as error:
        raise NotFound(f"cannot read the backup {backup}: {error.strerror}") from error
    with packed:
        if not stat.S_ISREG(os.fstat(packed.fileno()).st_mode):
            raise _damaged(backup, "it is no ordinary file")
        if packed.peek(len(_PLAIN)).startswith(_PLAIN):
            raise Corrupt(
                f"the backup {backup} is not used: it is a database that is not compressed, and backups are",
                hint="with no daemon or other program at it, pack a copy with `gzip -k`; nothing was changed",
            )
        _unpack(packed, backup, target, header_bytes, size_of, progress)


def _without_waiting(path: str, flags: int) -> int:
    """Opens as `open` does, but does not wait until somebody writes into a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def _unpack(
    packed: io.BufferedReader,
    backup: str,
    target: str,
    header_bytes: int,
    size_of: Callable[[bytes], int],
    progress: Progress,
) -> None:
    with _full_disk_told(Path(target).parent):
        _compare_digest(backup)
        packed_bytes = os.fstat(packed.fileno()).st_size
        stream = zlib.decompressobj(_GZIP)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        written, wanted = 0, None
        with open(descriptor, "wb") as plain:
            head = b""
            for part in _inflated(stream, packed, backup):
                if wanted is None:
                    head += part
                    if len(head) < header_bytes:
                        continue
                    part = head
                    wanted = _expected(backup, head[:header_bytes], size_of, Path(target).parent)
                written += len(part)
                if written > wanted:
                    raise _damaged(backup, "it holds more than the database says that it has")
                plain.write(part)
                progress(packed.tell(), packed_bytes)
            if wanted is None:
                _expected(backup, head, size_of, Path(target).parent)
            if not stream.eof or written != wanted:
                raise _damaged(backup, "its end is missing")
            if stream.unused_data or packed.read(1):
                raise _damaged(backup, "something follows its end")
            plain.flush()
            os.fsync(plain.fileno())


def _inflated(stream: Any, packed: Any, backup: str) -> Iterator[bytes]:
    try:
        while not stream.eof and (chunk := packed.read(_CHUNK)):
            while chunk and not stream.eof:
                yield stream.decompress(chunk, _CHUNK)
                chunk = stream.unconsumed_tail
    except zlib.error as error:
        raise _damaged(backup, f"it does not inflate ({error})") from None


def _expected(backup: str, head: bytes, size_of: Callable[[bytes], int], folder: Path) -> int:
    try:
        size = size_of(head)
    except Corrupt as error:
        raise _damaged(backup, error.message) from None
    room = os.statvfs(folder)
    if size + _ROOM_LEFT > room.f_bavail * room.f_frsize:
        raise DiskFull(f"{folder} has no room for the {size} bytes that are in {backup}", hint="free some space")
    return size


def _compare_digest(backup: str) -> None:
    """Hold a backup against the SHA-256 beside it, where there is one. Raises: Corrupt."""
    beside = Path(f"{backup}.sha256")
    try:
        noted = beside.read_text(encoding="ascii").split()[0]
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError, IndexError):
        noted = "nothing that can be read"
    digest = hashlib.sha256()
    with open(backup, "rb") as packed:
        while chunk := packed.read(_CHUNK):
            digest.update(chunk)
    if noted != digest.hexdigest():
        raise _damaged(backup, f"it does not match {beside.name}")


def _damaged(backup: str, why: str) -> Corrupt:
    return Corrupt(f"the backup {backup} is not used: {why}", hint="take another backup; nothing was changed")


def _place(settings: Settings, path: str | None) -> tuple[Path, str]:
    """The folder a backup goes to, made where it is the default one, and the beginning of its name."""
    database = os.path.realpath(settings.db_path)
    stem = Path(settings.db_path).stem
    if path is None:
        folder = folder_of(settings)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidParams(f"cannot make the folder of backups {folder}: {error.strerror}") from error
        return folder, stem
    details = {"path": "path"}
    if not os.path.isabs(path):
        raise InvalidParams("path: must be absolute", hint="or leave it out", details=details)
    wanted = Path(path)
    if not wanted.parent.is_dir():
        raise InvalidParams(f"path: {wanted.parent} is no folder", details=details)
    real = os.path.realpath(path)
    if real == database or real in (f"{database}{end}" for end in ("-wal", "-shm", "-journal", ".lock", ".mark")):
        raise InvalidParams("path: that is the database itself", hint="name another file", details=details)
    if os.path.lexists(path):
        raise AlreadyExists(f"{path} is there already", hint="name another file; a backup replaces none")
    return wanted.parent, stem


def _named(packed: Path, wanted: Path | None, folder: Path, stem: str, now: datetime) -> Path:
    """Give a finished backup its name, which nothing else has. Raises: AlreadyExists."""
    number = 1
    while True:
        behind = "" if number == 1 else f"-{number}"
        path = wanted or folder / f"{stem}-{now.strftime(_TIME)}{behind}.db.gz"
        try:
            os.link(packed, path)
            return path
        except FileExistsError:
            if wanted is not None:
                raise AlreadyExists(f"{wanted} is there already", hint="name another file") from None
            number += 1
        except OSError:  # a file system without links
            if os.path.lexists(path):
                raise AlreadyExists(f"{path} is there already", hint="name another file") from None
            os.rename(packed, path)
            return path


def _write_digest(backup: Path, sha256: str) -> None:
    descriptor = os.open(f"{backup}.sha256", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="ascii") as beside:
        beside.write(f"{sha256}  {backup.name}\n")
        beside.flush()
        os.fsync(beside.fileno())


def _thinned_out(folder: Path, database: str, now: datetime) -> list[str]:
    """Delete backups that are older than is kept, never the newest; returns their names."""
    deleted = []
    for old in listed(folder, database)[:-1]:
        if now - old.at > KEPT:
            with contextlib.suppress(OSError):
                old.path.unlink()
                Path(f"{old.path}.sha256").unlink(missing_ok=True)
                deleted.append(old.path.name)
    return deleted


def remove_with_companions(path: str | Path) -> None:
    """Remove a database file and what SQLite may have laid beside it; those that are not there are no trouble."""
    for end in ("", "-wal", "-shm", "-journal", ".mark"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}{end}")


def _clear_lost(folder: Path, stem: str) -> None:
    """Remove what a backup left behind that was killed; its name tells the process."""
    pattern = re.compile(re.escape(f".{stem}-") + r"\d{8}T\d{6}Z-(\d+)\.(?:copy|part)")
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            match = pattern.fullmatch(name)
            if match and not _is_alive(int(match[1])):
                remove_with_companions(folder / name)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


@contextlib.contextmanager
def _cleared(*files: Path) -> Iterator[None]:
    """Whatever happens, these files are gone afterwards."""
    try:
        yield
    finally:
        for file in files:
            remove_with_companions(file)


@contextlib.contextmanager
def _full_disk_told(folder: Path) -> Iterator[None]:
    """Say which disk is full, or what else of the folder is amiss."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(folder) from error
        raise InvalidParams(f"cannot write in {folder}: {error.strerror}", details={"path": "path"}) from error
    except DiskFull as error:
        if error.message.startswith("the disk is full"):
            raise _full(folder) from error
        raise


def _full(folder: Path) -> EnhancedMemoryError:
    return DiskFull(f"the disk of {folder} is full, so nothing was made there", hint="free some space, then try again")


def sync_file(path: Path) -> None:
    """Have the bytes of a file on disk."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
