"""Programs beside the daemon: check a database, pack a backup, make one without the daemon, restore one, try one out.

Above it lie the daemon's upkeep and the command line, which run it as a process and read its lines; below it the
engine. What they do takes seconds of pure computing, which in the daemon's own process would hold up every request.

Standard output has lines of JSON: {"done", "total"} while it works, at the end one reply as the daemon would give it.
The exit status is 0 if that says success, else 1.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from enhanced_memory.errors import Busy, Corrupt, EnhancedMemoryError, InvalidParams, NotFound, ServiceError
from enhanced_memory.service import backups
from enhanced_memory.service.analyser import WordAnalyser
from enhanced_memory.service.backups import Progress
from enhanced_memory.service.lock import database_locked
from enhanced_memory.settings import Settings
from enhanced_memory.store.sqlite import copies, schema
from enhanced_memory.store.sqlite.checking import Report
from enhanced_memory.store.sqlite.store import SQLiteStore

_NICE: Final = 10
_TELL_EVERY_S: Final = 0.2


def main(argv: Sequence[str] | None = None) -> None:
    """Run one of the programs and exit."""
    program.main(args=argv, prog_name="enhanced-memory-offline")


@click.group()
def program() -> None:
    """Look after a database; started by the daemon and by `enhanced-memory`."""
    os.umask(0o077)


def _answered(work: Callable[[Progress], dict[str, Any]]) -> None:
    """Do the work, tell its progress and its reply, and exit."""
    told_at = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal told_at
        now = time.monotonic()
        if now - told_at >= _TELL_EVERY_S:
            told_at = now
            print(json.dumps({"done": done, "total": total}), flush=True)

    try:
        reply = {"success": True, **work(tell)}
    except EnhancedMemoryError as error:
        reply = error.reply()
    except BrokenPipeError:  # whoever asked is gone
        os._exit(1)
    print(json.dumps(reply, ensure_ascii=True), flush=True)
    sys.exit(0 if reply["success"] else 1)


def _nice() -> None:
    with contextlib.suppress(OSError):
        os.nice(_NICE)


# ------------------------------------------------------------------------------------------------- run by the daemon


@program.command("check")
@click.argument("database")
def check_program(database: str) -> None:
    """Check a database that a daemon has open, reading only."""
    _nice()
    _answered(lambda progress: told(copies.check_live(database, WordAnalyser(), progress)))


@program.command("pack")
@click.argument("copy")
@click.argument("target")
def pack_program(copy: str, target: str) -> None:
    """Check a copy and pack it into an existing file."""
    _nice()
    _answered(lambda progress: pack(copy, target, progress))


def told(report: Report) -> dict[str, Any]:
    """A report as lines carry it."""
    return {
        "checked": report.checked,
        "problems": report.problems,
        "counts": dict(report.counts),
        "broken_indexes": report.broken_indexes,
        "lost_vectors": report.lost_vectors,
    }


def pack(copy: str, target: str, progress: Progress) -> dict[str, Any]:
    """Check a copy and pack it into `target`: sha256, counts of rows, living entities, problems.

    The words of the index are not compared, since it can be made anew. A copy whose pages are damaged is refused; what
    is damaged inside a whole file, such as one memory's bytes, is counted only, since it would keep every other memory
    from being saved.

    Raises: Corrupt: the copy is damaged.
    """
    copies.seal(copy)
    report, counts = copies.check_copy(copy, None, lambda done, total: progress(8 * done, 10 * total))
    if report.counts["database"]:
        detail = next(each["detail"] for each in report.problems if each["kind"] == "database")
        raise Corrupt(
            f"the database is damaged, so no backup was made of it: {detail}",
            hint="see `enhanced-memory verify`, and restore the newest good backup",
        )
    sha256 = backups.pack(copy, target, lambda done, total: progress(8 * total + 2 * done, 10 * total))
    entities = sum(copies.count_entities(copy).values())
    return {"sha256": sha256, "counts": counts, "entities": entities, "problems": report.counts.total()}


# ---------------------------------------------------------------------------------------------- run by the command line


@program.command("backup")
@click.argument("path", required=False)
def backup_program(path: str | None) -> None:
    """Back the database up while no daemon runs; the settings come from the environment."""
    settings = Settings.load()
    _answered(lambda progress: backup(settings, path, progress))


@program.command("restore")
@click.argument("backup")
@click.option("--anyway", is_flag=True)
def restore_program(backup: str, anyway: bool) -> None:
    """Put a backup in the place of the database; the settings come from the environment."""
    settings = Settings.load()
    _answered(lambda progress: restore(settings, os.path.abspath(backup), anyway, progress))


@program.command("drill")
@click.argument("backup", required=False)
@click.option("--count-live", is_flag=True)
def drill_program(backup: str | None, count_live: bool) -> None:
    """Restore a backup into a folder of its own and look at it; the settings come from the environment."""
    settings = Settings.load()
    _answered(lambda progress: drill(settings, backup and os.path.abspath(backup), count_live, progress))


def backup(settings: Settings, path: str | None, progress: Progress) -> dict[str, Any]:
    """Back the database up without a daemon. Raises: NotFound: there is none; Busy: a daemon has it; see backups."""
    database = os.path.realpath(settings.db_path)
    if not os.path.exists(database) or not os.path.getsize(database):
        raise NotFound(f"there is no database at {settings.db_path}", hint="name another with --db")
    with _held(settings):
        return backups.make(
            settings, path, datetime.now(UTC), lambda target, tell: copies.copy_database(database, target, tell), pack,
            progress,
        )  # fmt: skip


def restore(settings: Settings, file: str, anyway: bool, progress: Progress) -> dict[str, Any]:
    """Put the backup `file` in the place of the database, which is kept beside it under another name.

    Returns restored_from, entities by namespace, kept (the old file, if there was one), problems.
    Raises: Busy: a daemon runs; NotFound, Corrupt: the backup cannot be used, and nothing was changed; DiskFull.
    """
    database = Path(os.path.realpath(settings.db_path))
    try:
        database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidParams(f"cannot make the folder {database.parent}: {error.strerror}") from error
    unpacked = Path(f"{database}.restoring")
    with _held(settings):
        backups.remove_with_companions(unpacked)
        try:
            problems = _unpacked(file, str(unpacked), anyway, progress)
            entities = copies.count_entities(str(unpacked))
            kept = _swapped(unpacked, database)
        finally:
            backups.remove_with_companions(unpacked)
    return {
        "restored_from": file,
        "database": settings.db_path,
        "entities": entities,
        "kept": kept,
        "problems": problems,
    }


def drill(settings: Settings, file: str | None, count_live: bool, progress: Progress) -> dict[str, Any]:
    """Restore a backup, the newest unless named, into a folder beside the database, open it, and take it away again.

    Returns path, age_s (None for a named file), entities by namespace, live (the same of the database, if asked for),
    problems, seconds. Raises: NotFound, Corrupt, DiskFull.
    """
    begun = time.monotonic()
    made = None if file is not None else backups.newest(backups.folder_of(settings), settings.db_path)
    path = file or str(made.path if made else "")
    database = os.path.realpath(settings.db_path)
    folder = os.path.dirname(database)
    try:
        scratch = tempfile.TemporaryDirectory(prefix=".drill-", dir=folder)
    except OSError as error:
        raise InvalidParams(f"cannot write in {folder}: {error.strerror}") from error
    with scratch as place:
        restored = os.path.join(place, "memory.db")
        problems = _unpacked(path, restored, True, progress)
        SQLiteStore(restored, WordAnalyser()).close()  # as the daemon would open it
        entities = copies.count_entities(restored)
    live = copies.count_entities(database) if count_live and os.path.exists(database) else None
    return {
        "path": path,
        "age_s": round((datetime.now(UTC) - made.at).total_seconds()) if made else None,
        "entities": entities,
        "live": live,
        "problems": problems,
        "seconds": round(time.monotonic() - begun, 1),
    }


def _unpacked(backup: str, target: str, anyway: bool, progress: Progress) -> int:
    """Unpack a backup to `target` and check it; returns how many damaged things it holds. Raises: Corrupt."""
    backups.unpack(
        backup, target, copies.HEADER_BYTES, copies.expected_bytes, lambda done, total: progress(done, 10 * total)
    )
    try:
        copies.seal(target)
        if copies.schema_of(target) < schema.CURRENT:
            SQLiteStore(target, WordAnalyser()).close()  # brings it up to date
            copies.seal(target)
        report, _ = copies.check_copy(target, None, lambda done, total: progress(total + 9 * done, 10 * max(total, 1)))
    except EnhancedMemoryError as error:
        raise Corrupt(f"the backup {backup} is not used: {error.message}", hint=error.hint) from error
    total = report.counts.total()
    if report.counts["database"] or (total and not anyway):
        first = report.problems[0]
        whose = f" ({first['entity']})" if "entity" in first else ""
        raise Corrupt(
            f"the backup {backup} is not used: {total} things in it are damaged, the first: {first['detail']}{whose}",
            hint="take another backup" + ("" if report.counts["database"] else ", or say --anyway to take it as it is"),
        )
    return total


def _swapped(unpacked: Path, database: Path) -> str | None:
    """Put the unpacked file in the database's place in one step; returns the name the old one is kept under.

    A log left beside the old file must never meet the new one, so it is brought into the old file first; where that
    fails, since the old file is damaged, it is moved away with it.
    """
    backups.sync_file(unpacked)
    kept = None
    if database.exists():
        kept = f"{database}.before-restore-{datetime.now(UTC).strftime('%Y%m%dT%H%M%S.%fZ')}"
        folded = copies.fold_log(str(database))
        for end in ("-wal", "-journal"):
            if not folded and os.path.exists(f"{database}{end}"):
                os.rename(f"{database}{end}", f"{kept}{end}")
        try:
            os.link(database, kept)
        except OSError:  # a file system without links
            os.rename(database, kept)
    for end in ("-wal", "-journal", "-shm", ".mark"):
        Path(f"{database}{end}").unlink(missing_ok=True)
    os.replace(unpacked, database)
    backups.sync_folder(database.parent)
    return kept


@contextlib.contextmanager
def _held(settings: Settings) -> Iterator[None]:
    """Hold the daemon's lock on the database. Raises: Busy: a daemon has it."""
    with contextlib.ExitStack() as lock:
        try:
            lock.enter_context(database_locked(settings.db_path, "name another database with --db", make=False))
        except ServiceError as error:
            raise Busy(error.message, hint=error.hint) from error
        yield
