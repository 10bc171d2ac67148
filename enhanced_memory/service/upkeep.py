"""The daemon's upkeep: backups, checks and repairs of the store it serves, and what is known of both.

Above it lies the dispatcher; below it the store, which copies and repairs itself, and a program of its own process for
whatever computes long (`offline.py`), so that no request waits for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from enhanced_memory.errors import Busy, Corrupt, DiskFull, EnhancedMemoryError, Internal, ReadOnly, ShuttingDown
from enhanced_memory.service import backups
from enhanced_memory.service.backups import Progress
from enhanced_memory.settings import Settings
from enhanced_memory.store.base import Store

_OFFLINE: Final = (
    f"import sys; sys.path.insert(0, {str(Path(__file__).resolve().parents[2])!r});"
    " from enhanced_memory.service.offline import main; main()"
)

_ANY: Final = "default"
_TIMEOUT_S: Final = 30.0
_BACKUP: Final = "last_backup"
_CHECK: Final = "last_check"
_CUT: Final = "log_cut"
"""Notes kept in the store."""

_DERIVED: Final = ("index", "table index", "vector")
"""Kinds of problems that a repair can mend."""

_KINDS: Final = {kind.code: kind for kind in (Busy, Corrupt, DiskFull, ReadOnly)}


class Upkeep:
    """Backups and checks, one at a time. Safe for many threads."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._busy = threading.Lock()
        self._closing = threading.Event()
        self._child: subprocess.Popen[str] | None = None
        self._damage_met_at: str | None = None
        self._notes: dict[str, dict[str, Any]] = {}
        with contextlib.suppress(EnhancedMemoryError, ValueError):
            found = self._store.read(
                lambda tx: {key: tx.notes.get(key) for key in (_BACKUP, _CHECK, _CUT)}, _ANY, _TIMEOUT_S
            )
            self._notes = {key: json.loads(text) for key, text in found.items() if text is not None}
        if self._store.log_was_cut:
            self._note(_CUT, {"at": _stamp(datetime.now(UTC))})

    def backup(self, path: str | None, progress: Progress) -> dict[str, Any]:
        """Make a backup while requests go on: what backups.make returns, and raises."""
        with self._alone():
            now = datetime.now(UTC)
            made = backups.make(
                self._settings,
                path,
                now,
                lambda target, tell: dict(self._store.copy(target, self._unless_closing(tell))),
                lambda copy, target, tell: self._run("pack", copy, target, progress=tell),
                self._unless_closing(progress),
            )
            self._note(_BACKUP, {"at": _stamp(now), "path": made["path"], "bytes": made["bytes"]})
            return made

    def verify(self, repair: bool, progress: Progress) -> dict[str, Any]:
        """Check everything; with `repair`, make anew what can be derived, then check again.

        Returns ok, checked, problems, problem_counts, repaired. Raises: Busy, ReadOnly, ShuttingDown.
        """
        with self._alone():
            found = self._run("check", os.path.realpath(self._settings.db_path), progress=progress)
            repaired: dict[str, int] = {}
            if repair and any(found["counts"].get(kind) for kind in _DERIVED):
                repaired = dict(
                    self._store.repair(
                        index=bool(found["counts"].get("index")),
                        table_indexes=found["broken_indexes"],
                        vectors=found["lost_vectors"],
                        progress=self._unless_closing(progress),
                    )
                )
                found = self._run("check", os.path.realpath(self._settings.db_path), progress=progress)
            problems = sum(found["counts"].values())
            self._note(_CHECK, {"at": _stamp(datetime.now(UTC)), "problems": problems})
            return {
                "ok": not problems,
                "checked": found["checked"],
                "problems": found["problems"],
                "problem_counts": found["counts"],
                "repaired": repaired,
            }

    def last_backup(self) -> str | None:
        """When the newest backup was made that is known of, wherever it is: UTC, ISO 8601, or None."""
        found = backups.listed(backups.folder_of(self._settings), self._settings.db_path)
        known = [_stamp(made.at) for made in found[-1:]]
        noted = self._notes.get(_BACKUP)
        if noted is not None and not _was_deleted(noted["path"]):
            known.append(noted["at"])
        return max(known, default=None)

    def log_cut_at(self) -> str | None:
        """When it was found that the log had lost writes, if nothing was checked since."""
        return self._unless_checked(self._notes.get(_CUT, {}).get("at"))

    def note_damage(self) -> None:
        """A request has met damaged data."""
        self._damage_met_at = _stamp(datetime.now(UTC))

    def damage_met_at(self) -> str | None:
        """When a request met damaged data last, if nothing was checked since."""
        return self._unless_checked(self._damage_met_at)

    def _unless_checked(self, at: str | None) -> str | None:
        checked_at = self._notes.get(_CHECK, {}).get("at", "")
        return at if at is not None and at > checked_at else None

    def integrity(self) -> dict[str, Any]:
        """What the last check found, at the start or when it was asked for: status, checked_at, problems."""
        start, asked = self._store.integrity, self._notes.get(_CHECK)
        if asked is not None and (asked["problems"] or start["status"] != "bad"):
            status = "bad" if asked["problems"] else "ok"
            return {"status": status, "checked_at": asked["at"], "problems": asked["problems"]}
        bad = start["status"] == "bad"
        return {"status": start["status"], "checked_at": start.get("checked_at"), "problems": int(bad)}

    def stop(self) -> None:
        """Have what is under way end with ShuttingDown, soon."""
        self._closing.set()
        child = self._child
        if child is not None:
            child.kill()

    def close(self) -> None:
        """End what is under way, and wait for that."""
        self.stop()
        with self._busy:
            pass

    # ------------------------------------------------------------------------------------------------------ helpers

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._busy.acquire(blocking=False):
            raise Busy("a backup or a check is under way", hint="list_running tells how far it is")
        try:
            self._check_closing()
            yield
        finally:
            self._busy.release()

    def _unless_closing(self, progress: Progress) -> Progress:
        def tell(done: int, total: int) -> None:
            self._check_closing()
            progress(done, total)

        return tell

    def _check_closing(self) -> None:
        if self._closing.is_set():
            raise ShuttingDown("the service is ending", hint="ask again when it is back")

    def _run(self, *arguments: str, progress: Progress) -> dict[str, Any]:
        """Run the program beside us and return its reply. Raises: what that says; ShuttingDown."""
        command = [sys.executable, "-P", "-c", _OFFLINE, *arguments]
        reply: dict[str, Any] = {}
        try:
            started = subprocess.Popen(  # noqa: S603 - a program of ours, and no shell
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd="/", text=True
            )
        except OSError as error:  # no memory, process or descriptor to be had, or an update took the interpreter away
            raise Internal(
                f"the program for the {arguments[0]} cannot be started ({error.strerror})", hint="restart the daemon"
            ) from error
        with started as child:
            self._child = child
            try:
                self._check_closing()
                assert child.stdout is not None
                for line in child.stdout:
                    self._check_closing()
                    reply = json.loads(line)
                    if "total" in reply:
                        progress(reply["done"], reply["total"])
            except BaseException:
                child.kill()
                raise
            finally:
                self._child = None
        self._check_closing()
        if reply.pop("success", False):
            return reply
        if "error" not in reply:
            raise Internal(f"the {arguments[0]} ended without an answer (status {child.returncode})")
        raise _KINDS.get(reply["code"], Internal)(reply["error"], hint=reply.get("hint"))

    def _note(self, key: str, value: Mapping[str, Any]) -> None:
        """Keep it for the next start as well, where the store can be written."""
        self._notes[key] = dict(value)
        with contextlib.suppress(EnhancedMemoryError):
            self._store.write(lambda tx: tx.notes.put(key, json.dumps(value)), _ANY, _TIMEOUT_S)


def _was_deleted(path: str) -> bool:
    """Whether a backup is gone from a folder that is there; one on a disk that is away is not taken for deleted."""
    return os.path.isdir(os.path.dirname(path)) and not os.path.lexists(path)


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
