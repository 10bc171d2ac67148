#!/usr/bin/env bash
# Back the memory up: for cron and timers, for people as well. Works while the daemon runs and while it does not, and
# starts none. Quiet unless something is wrong; then one sentence on standard error, and a status other than 0.
#     scripts/backup_memory.sh [FILE]    else a file in the folder of backups, where those of seven days are kept
# Settings come from the environment, see docs/settings.md; docs/backup.md tells how to run it every night.
set -euo pipefail

tell() {
    printf 'backup_memory.sh: %s\n' "$1" >&2
    exit 1
}

if [ $# -gt 1 ]; then tell "it takes one file at the most"; fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
if [ -x "$here/.venv/bin/enhanced-memory" ]; then
    program=$here/.venv/bin/enhanced-memory
elif ! program=$(command -v enhanced-memory); then
    tell "there is no enhanced-memory, neither in $here/.venv nor on the PATH: run scripts/start first"
fi

if told=$("$program" backup --quiet -- "$@" 2>&1); then exit 0; fi
told=${told:-"the backup failed and did not say why"}
tell "$(printf '%s' "$told" | tr '\n' ' ')"
