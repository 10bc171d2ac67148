"""How long an import takes: 10,000 entities of each format, made on the spot, into a daemon of its own.

    python tests/bench/bench_imports.py [--quick] [--json]

Prints the seconds of a dry run, of the import and of importing again, and the most memory the command line took (as
Linux tells it).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.cli.made import MAKERS  # noqa: E402 (found through the path above)


def run(arguments: list[str], environment: dict[str, str]) -> tuple[float, int, dict[str, Any]]:
    """Seconds and KiB of memory that the command line takes, and its reply."""
    code = (
        "import sys; from enhanced_memory.cli.main import program; from enhanced_memory.cli.session import Session; "
        "program.main(sys.argv[1:], standalone_mode=False, obj=Session()); "
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0], file=sys.stderr)"
    )
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=True, cwd=ROOT
    )
    return time.perf_counter() - began, int(done.stderr.split()[-1]), json.loads(done.stdout)


def measured(name: str, count: int) -> dict[str, Any]:
    """The figures of one format."""
    with tempfile.TemporaryDirectory(prefix="em-") as folder:
        home = Path(folder)
        environment = os.environ | {
            "MEMORY_DB_PATH": str(home / "memory.db"),
            "MEMORY_DB_SOCKET": str(home / "s"),
            "PYTHONPATH": str(ROOT),
        }
        source = MAKERS[name](home / "source", count)
        size = sum(path.stat().st_size for path in source.rglob("*")) if source.is_dir() else source.stat().st_size
        with subprocess.Popen(
            [sys.executable, str(ROOT / "memory_db_service.py")], env=environment, stdout=subprocess.PIPE
        ) as daemon:
            assert daemon.stdout is not None
            daemon.stdout.readline()
            try:
                dry_s, _, dry = run(["import", "--dry-run", "--json", str(source)], environment)
                real_s, kib, real = run(["import", "--json", str(source)], environment)
                again_s, _, again = run(["import", "--json", str(source)], environment)
            finally:
                daemon.terminate()
    same = {key: real[key] for key in ("created", "updated", "relations", "unchanged", "skipped")}
    return {
        "format": real["format"],
        "source_mb": size / 1e6,
        "dry_run_s": dry_s,
        "import_s": real_s,
        "again_s": again_s,
        "peak_mb": kib / 1024,
        "dry_run_agrees": {key: dry[key] for key in same} == same,
        "again_changes": again["created"] + again["updated"] + again["relations"],
        **same,
    }


def main() -> None:
    """Measure every format and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 entities of each instead of 10,000")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = [measured(name, 1_000 if given.quick else 10_000) for name in MAKERS]
    if given.json:
        print(json.dumps(figures))
        return
    for each in figures:
        print(
            f"{each['format']:20} {each['source_mb']:7.1f} MB  dry run {each['dry_run_s']:5.1f} s  "
            f"import {each['import_s']:5.1f} s  again {each['again_s']:5.1f} s  {each['peak_mb']:4.0f} MB of memory  "
            f"{each['created']:,} created, {each['relations']:,} relations, {each['skipped']} skipped, "
            f"dry run agrees: {each['dry_run_agrees']}, again changes {each['again_changes']}"
        )


if __name__ == "__main__":
    main()
