"""Plain Python in a confined worker, as if every guard of the language had failed: what does the system still stop?

    python escaped.py confined|nobody|free FOLDER < payloads.json

Reads {name: code} and writes {name: how it ended}: "done", the name of an exception, or "signal N". Each payload runs
in a fork of its own that went through the same gate as a worker: `confined`, or `nobody` where the whole program gave
up root first, or `free` without the gate, to show that the payload works. It finds FOLDER, SOCKET, PORT and PARENT.
"""

from __future__ import annotations

import ctypes
import encodings.idna
import json
import mmap
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

from enhanced_memory.sandbox import worker, zygote

LOADED = (ctypes, encodings.idna, mmap, signal, threading, time, zygote)
"""What payloads use must be here before the gate closes."""


def live(pipe: int, mode: str, code: str, names: dict[str, Any]) -> NoReturn:
    """In the fork: through the gate, run the payload, say how it ended."""
    ended = "done"
    try:
        if mode == "free":
            os.dup2(pipe, worker.PIPE)
        else:
            worker.enter(pipe, 5.0, names["PARENT"])
        try:
            exec(code, names)
        except BaseException as error:
            ended = type(error).__name__
        os.write(worker.PIPE, ended.encode())
    finally:
        os._exit(0)


def main() -> None:
    """Run every payload and tell."""
    mode, folder = sys.argv[1:]
    payloads: dict[str, str] = json.load(sys.stdin)
    listener = socket.create_server(("127.0.0.1", 0))
    if mode == "nobody" and os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    ended: dict[str, str] = {}
    for name, code in payloads.items():
        names = {
            "FOLDER": folder,
            "SOCKET": str(Path(folder) / "socket"),
            "PORT": listener.getsockname()[1],
            "PARENT": os.getpid(),
            "ctypes": ctypes,
            "mmap": mmap,
            "os": os,
            "signal": signal,
            "socket": socket,
            "threading": threading,
        }
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            live(writer, mode, code, names)
        os.close(writer)
        _, status = os.waitpid(pid, 0)
        said = os.read(reader, 100).decode()
        os.close(reader)
        ended[name] = said or f"signal {os.WTERMSIG(status)}"
    print(json.dumps(ended))


if __name__ == "__main__":
    main()
