"""Serving over HTTP: for assistants that cannot start a program, on this machine unless more is said.

Above it lies the command line; below it the server. Host and Origin of every request are checked, so that no web page
reaches the memory by a name that it lets point here, and every request must carry the bearer token.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import secrets
import socket
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
from fastmcp.server.auth import AccessToken, TokenVerifier

from enhanced_memory.errors import InvalidParams
from enhanced_memory.mcp.app import build
from enhanced_memory.settings import Settings

TOKEN_VARIABLE = "MEMORY_HTTP_TOKEN"  # noqa: S105 - the name of a variable
"""Not a field of Settings: those are passed on to the daemon, which has no business with it."""

_LEAST_TOKEN = 16
"""Characters of a token at the least."""

_BACKLOG = 128


class OwnersToken(TokenVerifier):
    """The one token there is; whoever has it is the memory's owner."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token.encode()

    async def verify_token(self, token: str) -> AccessToken | None:
        """Access where the token is the right one; the comparison takes as long for any other."""
        if not hmac.compare_digest(token.encode(errors="replace"), self._token):
            return None
        return AccessToken(token=token, client_id="owner", scopes=[])


def serve(settings: Settings, address: str, names: Sequence[str]) -> None:
    """Serve one memory at `address`, HOST:PORT, until a signal; port 0 takes a free one.

    `names` are hosts by which other machines may ask; without any, only a loopback address is served. Says on standard
    error where it listens and where the token is.

    Raises: InvalidParams: an address or token that cannot be used.
    """
    token, source = token_for(settings, os.environ)
    with listening(address, names) as sock:
        host, port = sock.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        print(f"memory-mcp serves http://{shown}:{port}/mcp; its bearer token is in {source}", file=sys.stderr)
        app = build(settings)
        app.auth = OwnersToken(token)
        anyio.run(
            lambda: app.run_http_async(
                show_banner=False,
                host=host,
                port=port,
                path="/mcp",
                sockets=[sock],
                host_origin_protection=True,
                allowed_hosts=list(names),
                uvicorn_config={"log_config": None, "access_log": False},
            )
        )


def listening(address: str, names: Sequence[str]) -> socket.socket:
    """A socket that listens at HOST:PORT. Raises: InvalidParams."""
    host, colon, given = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        port = int(given)
        if not colon or not host or not 0 <= port <= 65_535:
            raise ValueError
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (ValueError, OSError) as error:
        raise InvalidParams(f"--http takes HOST:PORT, as in 127.0.0.1:8765, not {address!r}") from error
    family, _, _, _, where = found[0]
    if not names and not ipaddress.ip_address(str(where[0]).partition("%")[0]).is_loopback:
        raise InvalidParams(
            f"{host} can be reached from other machines; say so with --http-allow NAME for each name they may use"
        )
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(where)
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise InvalidParams(f"cannot listen at {address}: {error.strerror}") from error
    return sock


def token_for(settings: Settings, environ: Mapping[str, str]) -> tuple[str, str]:
    """The bearer token and where it is: in MEMORY_HTTP_TOKEN, else in a file beside the database, made at first use.

    Raises: InvalidParams: the token is short, or the file is another user's, open to others, or cannot be used.
    """
    token, source = environ.get(TOKEN_VARIABLE, ""), TOKEN_VARIABLE
    if not token:
        path = Path(settings.db_path).parent / "http-token"
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            token, source = _kept(path), str(path)
        except OSError as error:
            raise InvalidParams(f"cannot use the token file {path}: {error.strerror}") from error
    if len(token) < _LEAST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise InvalidParams(f"the token in {source} must have {_LEAST_TOKEN} plain characters or more, and no blanks")
    return token, source


def _kept(path: Path) -> str:
    """The token in a file of this user's alone, which is made where it is missing."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, encoding="utf-8", errors="replace") as kept:
            seen = os.fstat(descriptor)
            if seen.st_uid != os.geteuid() or stat.S_IMODE(seen.st_mode) & 0o077:
                raise InvalidParams(f"the token file {path} must be yours and closed to others: chmod 600") from None
            return kept.read(1024).strip()
    with open(descriptor, "w", encoding="utf-8") as made:
        token = secrets.token_urlsafe(32)
        made.write(f"{token}\n")
    return token
