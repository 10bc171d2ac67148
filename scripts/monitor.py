#!/usr/bin/env python3
"""Tell how the memory daemon is, as JSON: once, or again and again.

    python scripts/monitor.py [--watch [SECONDS]] [--socket PATH]

Standard library and our own client only, so that any Python 3.11 runs it. The exit status is for cron jobs and
monitors: 0 healthy, 1 degraded, 2 failing or out of reach. It starts no daemon.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from memory_client import BlockingMemoryClient, DaemonUnavailable

EXIT_STATUS = {"healthy": 0, "degraded": 1, "failing": 2, "unreachable": 2}
TIMEOUT_S = 10.0


def get_system_health(socket_path: str | None = None) -> dict[str, Any]:
    """The daemon's reply to get_system_health; `status` is unreachable where there is none, with the reason."""
    with BlockingMemoryClient(socket_path, client="monitor", timeout_s=TIMEOUT_S) as client:
        try:
            reply = dict(client.get_system_health())
        except DaemonUnavailable as error:
            reply = error.reply()
    if reply.pop("success"):
        return reply
    return {"status": "unreachable", "reasons": [reply["error"]]}


def main() -> int:
    """Print, and give the exit status."""
    parser = argparse.ArgumentParser(description="Tell how the memory daemon is, as JSON.")
    parser.add_argument("--socket", metavar="PATH", help="socket of the daemon (MEMORY_DB_SOCKET)")
    parser.add_argument(
        "--watch", metavar="SECONDS", type=float, nargs="?", const=2.0, help="a line every so often (2), until Ctrl-C"
    )
    options = parser.parse_args()
    while options.watch:
        print(json.dumps(get_system_health(options.socket), ensure_ascii=False), flush=True)
        time.sleep(options.watch)
    health = get_system_health(options.socket)
    print(json.dumps(health, ensure_ascii=False, indent=2))
    return EXIT_STATUS[health["status"]]


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a reader that goes away, as head does, ends us quietly
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
