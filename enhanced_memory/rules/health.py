"""Whether the service is well: a verdict and its reasons, from figures that were taken elsewhere.

Above it lies the operation get_system_health; below it nothing. Each limit stands here with its source, and each
reason is a sentence that says what is wrong and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

_MEGABYTE = 1024 * 1024

DISK_FAILING_BYTES = 50 * _MEGABYTE
"""Free space below which writes may fail at any moment: less than the write-ahead log may take."""

DISK_LOW_BYTES = 500 * _MEGABYTE
DISK_LOW_SHARE = 0.05
DISK_ENOUGH_BYTES = 5 * 1024 * _MEGABYTE
"""Free space is low below 500 MiB, or below a twentieth of the disk; but 5 GiB are enough on any disk."""

QUEUE_LONG_SHARE = 0.5
"""Share of the places for waiting writes from which on the queue is long: at 1.0 newcomers are told `busy`."""

WRITER_SLOW_S = 10.0
WRITER_STUCK_S = 120.0
"""Seconds without a sign of the writer. A statement gives one every millisecond; only a disk that does not answer, or
the rewriting of a very large file, takes so long."""

LOG_LARGE_BYTES = 128 * _MEGABYTE
"""Size of the write-ahead log that is large: twice what it is cut to when it is emptied."""

BACKUP_AGE = timedelta(days=2)
"""How old the newest backup may be, and a memory of which there is none: two missed nights."""

CLOCK_TOLERANCE = timedelta(seconds=5)
"""How far the clock may be behind the newest memory: small corrections of a clock are everyday."""

Status = Literal["healthy", "degraded", "failing"]


@dataclass(frozen=True)
class Signs:
    """What is known of the service. Bytes, seconds; None where it cannot be told, or is not there.

    `time`, `first_memory`, `newest_change` and `last_backup` are UTC, ISO 8601. `unreadable` is why the store could not
    be read just now. `integrity` is ok, unknown or bad, or any other word where nobody checks; `log_cut_at` is when it
    was found that the log had lost writes, `damage_met_at` when a request met damaged data last, each unless checked
    since; `erasure_is_late` whether what was purged could not be overwritten yet. `watchdog_late_s` is the time since
    the watchdog was last content, `watchdog_s` how long it may be.
    """

    time: str
    disk_bytes: int | None = None
    disk_free_bytes: int | None = None
    log_bytes: int = 0
    files_in_place: bool = True
    writable: bool = True
    unreadable: str | None = None
    integrity: str = "ok"
    log_cut_at: str | None = None
    damage_met_at: str | None = None
    erasure_is_late: bool = False
    queue_depth: int = 0
    queue_places: int = 1
    writer_quiet_s: float = 0.0
    watchdog_s: float | None = None
    watchdog_late_s: float = 0.0
    last_backup: str | None = None
    first_memory: str | None = None
    newest_change: str | None = None


def verdict(signs: Signs) -> tuple[Status, list[str]]:
    """`healthy`, `degraded` (it works, and somebody should look) or `failing` (something does not), with the reasons.

    The reasons are sentences, the worst first; none where it is healthy.
    """
    found = [*_of_the_store(signs), *_of_the_disk(signs), *_of_the_work(signs), *_of_time(signs)]
    found.sort(key=lambda reason: reason[0] != "failing")
    return (found[0][0] if found else "healthy"), [sentence for _, sentence in found]


def _of_the_store(signs: Signs) -> list[tuple[Status, str]]:
    found: list[tuple[Status, str]] = []
    if not signs.files_in_place:
        found.append(
            (
                "failing",
                "The database's file or its log is gone or replaced, so nothing can be stored: "
                "put it back or restore a backup, then restart the daemon.",
            )
        )
    elif not signs.writable:
        found.append(
            (
                "failing",
                "The database is read-only, so nothing can be stored: "
                "check owner, mode and mount of its folder, and the log.",
            )
        )
    if signs.unreadable is not None:
        found.append(("failing", f"The database could not be read just now: {signs.unreadable}."))
    if signs.integrity == "bad":
        found.append(("failing", "The database failed its check: restore the newest good backup."))
    elif signs.integrity == "unknown":
        found.append(("degraded", "Whether the database is intact is not known: run verify_database."))
    if signs.log_cut_at is not None:
        found.append(
            (
                "degraded",
                "The database's log was cut off, damaged or removed while no daemon ran, as the start of "
                f"{signs.log_cut_at} found: what was written last before that may be missing. Compare with the newest "
                "backup; verify_database checks what is there, and ends this notice.",
            )
        )
    if signs.damage_met_at is not None:
        found.append(
            (
                "degraded",
                f"A request met damaged data at {signs.damage_met_at}: run verify_database, with repair where the "
                "search index is damaged; else restore the newest good backup.",
            )
        )
    if signs.erasure_is_late:
        found.append(
            (
                "degraded",
                "What was purged is erased, but not overwritten in the file and its log yet: that is done in an idle "
                "moment once the disk has room for a second copy of the file, and no check, backup or other reader "
                "holds an older state.",
            )
        )
    return found


def _of_the_disk(signs: Signs) -> list[tuple[Status, str]]:
    found: list[tuple[Status, str]] = []
    free, whole = signs.disk_free_bytes, signs.disk_bytes
    if free is not None and whole is not None:
        low = max(DISK_LOW_BYTES, min(DISK_LOW_SHARE * whole, DISK_ENOUGH_BYTES))
        if free < low:
            state: Status = "failing" if free < DISK_FAILING_BYTES else "degraded"
            left = f"{free / _MEGABYTE:,.0f} MB are left on the database's disk"
            found.append((state, f"{left}: free some space, or move the database to a larger disk."))
    if signs.log_bytes > LOG_LARGE_BYTES:
        found.append(
            (
                "degraded",
                f"The write-ahead log has grown to {signs.log_bytes / _MEGABYTE:,.0f} MB: "
                "a long read keeps it from being emptied; end that, or restart the daemon.",
            )
        )
    return found


def _of_the_work(signs: Signs) -> list[tuple[Status, str]]:
    found: list[tuple[Status, str]] = []
    if signs.queue_depth > QUEUE_LONG_SHARE * signs.queue_places:
        found.append(
            (
                "degraded",
                f"{signs.queue_depth:,} writes wait, of {signs.queue_places:,} that may: "
                "let clients write less at once, or raise MEMORY_MAX_QUEUE.",
            )
        )
    if signs.writer_quiet_s > WRITER_SLOW_S:
        state: Status = "failing" if signs.writer_quiet_s > WRITER_STUCK_S else "degraded"
        found.append(
            (
                state,
                f"The writer has given no sign for {signs.writer_quiet_s:.0f} s: "
                "look whether the disk answers; if it does, restart the daemon.",
            )
        )
    if signs.watchdog_s is not None and signs.watchdog_late_s > signs.watchdog_s / 2:
        found.append(
            (
                "degraded",
                f"The watchdog has found the service stuck for {signs.watchdog_late_s:.0f} s; "
                f"after {signs.watchdog_s:.0f} s systemd restarts it. Its log says more.",
            )
        )
    return found


def _of_time(signs: Signs) -> list[tuple[Status, str]]:
    found: list[tuple[Status, str]] = []
    now = datetime.fromisoformat(signs.time)
    newest = _moment(signs.newest_change)
    if newest is not None and newest - now > CLOCK_TOLERANCE:
        found.append(
            (
                "degraded",
                f"The clock went back: it shows {signs.time}, and the newest change is of {signs.newest_change}. "
                "Set the clock right; until it has caught up, the times of changes are not those of the clock.",
            )
        )
    backup, first = _moment(signs.last_backup), _moment(signs.first_memory)
    if backup is not None:
        if now - backup > BACKUP_AGE:
            found.append(
                (
                    "degraded",
                    f"The last backup is {(now - backup).days} days old: make one with the operation backup, "
                    "and see to it that its timer or cron line still runs.",
                )
            )
    elif first is not None and now - first > BACKUP_AGE:
        found.append(
            (
                "degraded",
                "There is no backup yet: make one with the operation backup, and a timer or cron line that does so "
                "every night.",
            )
        )
    return found


def _moment(stamp: str | None) -> datetime | None:
    """The time a stamp tells; None where there is none, or a damaged one."""
    try:
        moment = datetime.fromisoformat(stamp or "")
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
