"""Times as the tables have them: UTC, ISO 8601 with microseconds and Z.

Above it lie the files of the tables; below it nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_STAMP_LENGTH = len("1970-01-01T00:00:00.000000Z")


def stamp(moment: datetime) -> str:
    """A moment as it is stored and sent: UTC, ISO 8601 with microseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def as_stamp(value: object) -> str | None:
    """A stored time as a stamp, or None where it is no time; a damaged row may hold anything.

    Other programs that write to the database may leave out the microseconds, or have a space for the T. A time that
    names no zone is UTC, as SQLite's CURRENT_TIMESTAMP is.
    """
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        if len(value) == _STAMP_LENGTH and value[10] == "T" and value[-1] == "Z":
            return value
        return stamp(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None


def earlier(now: str, seconds: float) -> str:
    """The stamp that many seconds before `now`."""
    return stamp(datetime.fromisoformat(now) - timedelta(seconds=seconds))
