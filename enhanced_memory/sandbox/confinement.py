"""The wall: what a process gives up before it runs other people's code, by system calls of its own.

Above lies the worker, below the operating system. Standard library only. On Linux seccomp is the layer that must not
be missing: it alone stops connecting to the daemon's own socket, UDP, memfd and ptrace, and it stops all that the
others stop as well. Landlock and an unprivileged user stand behind it. Elsewhere there are resource limits.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
import struct
import sys
from collections.abc import Mapping
from typing import Final

from enhanced_memory.sandbox import limits

LAYERS: Final = ("limits", "no_new_privileges", "unprivileged_user", "landlock", "seccomp")

_NOBODY: Final = 65534
_MAX_DESCRIPTORS: Final = 16
"""A worker holds four; Landlock needs one more for a moment."""


def confine(timeout_s: float, parent: int) -> dict[str, bool]:
    """Give up what can be given up, for good; which of LAYERS took hold.

    From here on the process ends with `parent`, where the system offers that. It must be single-threaded, have closed
    what it should not have, and have imported all it needs: nothing can be opened afterwards. A layer that the system
    does not offer is False, and the others still hold.
    """
    held = {"limits": _limit(timeout_s)}
    held["unprivileged_user"] = _drop_user()
    _end_with(parent)  # after the change of user, which takes it back
    held["no_new_privileges"] = _no_new_privileges()
    held["landlock"] = held["no_new_privileges"] and _landlock()
    held["seccomp"] = held["no_new_privileges"] and _seccomp()
    return {layer: held[layer] for layer in LAYERS}


def isolation(held: Mapping[str, bool]) -> str:
    """How code is held: `kernel`, `partial` or `language`.

    `kernel`: a filter lets through nothing but memory, time and the one pipe. `partial`: files are out of reach but
    not everything is. `language`: the interpreter's guards, a process that can be killed, and resource limits.
    """
    if held["limits"] and held["no_new_privileges"] and held["seccomp"]:
        return "kernel"
    return "partial" if held["landlock"] else "language"


# --------------------------------------------------------------------------------------------------------- limits


def _limit(timeout_s: float) -> bool:
    cpu_s = math.ceil(timeout_s) + 1
    bounds = {
        resource.RLIMIT_AS: limits.MEMORY_BYTES,
        resource.RLIMIT_CPU: cpu_s,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: _MAX_DESCRIPTORS,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_CORE: 0,
    }
    held = True
    for limit, bound in bounds.items():
        try:
            hard = resource.getrlimit(limit)[1]
            bound = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
            resource.setrlimit(limit, (bound, bound))
        except (OSError, ValueError):
            held = False
    return held and sys.platform == "linux"  # elsewhere the limit on memory can be set and is not kept


def _drop_user() -> bool:
    """Become nobody where we are root; whether we are not root afterwards."""
    if os.geteuid() == 0:
        try:
            os.setgroups([])
            os.setgid(_NOBODY)
            os.setuid(_NOBODY)
        except OSError:  # root without the right to change users, as in some containers
            return False
    return os.geteuid() != 0 and os.getuid() != 0


# ----------------------------------------------------------------------------------------------------------- Linux

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_SECCOMP: Final = 22
_PR_SET_NO_NEW_PRIVS: Final = 38
_SECCOMP_MODE_FILTER: Final = 2


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _end_with(parent: int) -> None:
    if sys.platform == "linux":
        _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _no_new_privileges() -> bool:
    return sys.platform == "linux" and bool(_libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)


_LANDLOCK_CREATE_RULESET: Final = 444
_LANDLOCK_RESTRICT_SELF: Final = 446
_LANDLOCK_VERSION: Final = 1


def _landlock() -> bool:
    """Deny every file, TCP, and from ABI 6 abstract sockets and signals to others: a rule set without a rule."""
    syscall = _libc().syscall
    word = ctypes.c_long
    abi = syscall(word(_LANDLOCK_CREATE_RULESET), None, word(0), word(_LANDLOCK_VERSION))
    if abi < 1:
        return False
    # Rights over files known to each ABI: 13 bits at first, REFER in 2, TRUNCATE in 3, IOCTL_DEV in 5.
    files = (1 << (13 + (abi >= 2) + (abi >= 3) + (abi >= 5))) - 1
    tcp = 0b11 if abi >= 4 else 0
    scopes = 0b11 if abi >= 6 else 0
    attributes = struct.pack("=QQQ", files, tcp, scopes)
    ruleset = syscall(word(_LANDLOCK_CREATE_RULESET), attributes, word(len(attributes)), word(0))
    if ruleset < 0:
        return False
    denied = bool(syscall(word(_LANDLOCK_RESTRICT_SELF), word(ruleset), word(0)) == 0)
    os.close(ruleset)
    return denied


# --------------------------------------------------------------------------------------------------------- seccomp

_AUDIT_ARCH: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

ALLOWED: Final[Mapping[str, Mapping[str, int]]] = {
    "x86_64": {
        "read": 0, "write": 1, "close": 3, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14,
        "rt_sigreturn": 15, "sched_yield": 24, "mremap": 25, "madvise": 28, "nanosleep": 35, "getitimer": 36,
        "setitimer": 38, "getpid": 39, "exit": 60, "gettimeofday": 96, "getrusage": 98, "sigaltstack": 131,
        "gettid": 186, "time": 201, "futex": 202, "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229,
        "clock_nanosleep": 230, "exit_group": 231, "getrandom": 318, "rseq": 334,
    },
    "aarch64": {
        "read": 63, "write": 64, "close": 57, "munmap": 215, "brk": 214, "rt_sigaction": 134, "rt_sigprocmask": 135,
        "rt_sigreturn": 139, "sched_yield": 124, "mremap": 216, "madvise": 233, "nanosleep": 101, "getitimer": 102,
        "setitimer": 103, "getpid": 172, "exit": 93, "gettimeofday": 169, "getrusage": 165, "sigaltstack": 132,
        "gettid": 178, "futex": 98, "restart_syscall": 128, "clock_gettime": 113, "clock_getres": 114,
        "clock_nanosleep": 115, "exit_group": 94, "getrandom": 278, "rseq": 293,
    },
}  # fmt: skip
"""Memory, time, signals to oneself, and reading and writing what is open. What is not named fails with EPERM."""

_MEMORY_CALLS: Final = {"x86_64": {"mmap": 9, "mprotect": 10}, "aarch64": {"mmap": 222, "mprotect": 226}}
"""Allowed without the right to execute, and `mmap` of no file."""

_DEADLY: Final[Mapping[str, Mapping[str, int]]] = {
    "x86_64": {
        "execve": 59, "execveat": 322, "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "mount": 165,
        "unshare": 272, "setns": 308, "bpf": 321, "io_uring_setup": 425,
    },
    "aarch64": {
        "execve": 221, "execveat": 281, "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "mount": 40,
        "unshare": 97, "setns": 268, "bpf": 280, "io_uring_setup": 425,
    },
}  # fmt: skip
"""Nothing but an attack in progress calls these: it gets no second try."""

_KILL: Final = 0x80000000
_ALLOW: Final = 0x7FFF0000
_DENY: Final = 0x00050000 | 1  # an error, EPERM

_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _THIRD_ARGUMENT, _FOURTH_ARGUMENT = 0, 4, 32, 40
_X32: Final = 0x40000000
_PROT_EXEC: Final = 4
_MAP_ANONYMOUS: Final = 0x20


def program(machine: str) -> list[tuple[int, int, int, int]]:
    """The filter: (operation, steps where true, steps where false, operand) each, as the kernel's BPF has it."""
    instructions = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_IF_EQUAL, 1, 0, _AUDIT_ARCH[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_IF_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _KILL),
    ]
    for numbers, verdict in ((ALLOWED[machine], _ALLOW), (_DEADLY[machine], _KILL)):
        for number in numbers.values():
            instructions += [(_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, verdict)]
    memory = _MEMORY_CALLS[machine]
    instructions += [
        (_IF_EQUAL, 0, 4, memory["mprotect"]),
        (_LOAD, 0, 0, _THIRD_ARGUMENT),
        (_IF_ANY_BIT, 0, 1, _PROT_EXEC),
        (_RETURN, 0, 0, _DENY),
        (_RETURN, 0, 0, _ALLOW),
        (_IF_EQUAL, 0, 6, memory["mmap"]),
        (_LOAD, 0, 0, _THIRD_ARGUMENT),
        (_IF_ANY_BIT, 0, 1, _PROT_EXEC),
        (_RETURN, 0, 0, _DENY),
        (_LOAD, 0, 0, _FOURTH_ARGUMENT),
        (_IF_ANY_BIT, 0, 1, _MAP_ANONYMOUS),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _DENY),
    ]
    return instructions


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _seccomp() -> bool:
    """Let through the few system calls above and no other, for the rest of the process's life."""
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in _AUDIT_ARCH or sys.maxsize < 2**32:
        return False
    instructions = program(machine)
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    header = _FilterProgram(len(instructions), code)
    return bool(_libc().prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(header), 0, 0) == 0)
