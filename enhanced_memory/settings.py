"""Settings: read once from flags and environment into one frozen value, handed to whoever needs it.

Above it lies everything; below it nothing. Standard library only. A flag wins over the environment, the environment
over the default. `docs/settings.md` and the daemon's flags are made from the fields below.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from enhanced_memory.errors import InvalidParams


def _setting(default: Any, variable: str, meaning: str, low: float | None = None, high: float | None = None) -> Any:
    """A field with its environment variable, its sentence, and for numbers the range it must lie in."""
    return field(default=default, metadata={"variable": variable, "meaning": meaning, "low": low, "high": high})


LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
TOOL_PROFILES = ("core", "full")
SEMANTIC_MODES = ("auto", "off")


@dataclass(frozen=True)
class Settings:
    """Every setting of daemon, client, MCP server and command line, with its default and unit."""

    db_path: str = _setting(
        "~/.memories/memory.db", "MEMORY_DB_PATH", "Database file; its folder is made with mode 0700."
    )
    socket_path: str = _setting(
        "/tmp/memory-db.sock",  # noqa: S108 - promised; the daemon and the client check whose socket it is
        "MEMORY_DB_SOCKET",
        "Path of the Unix socket.",
    )
    namespace: str = _setting("default", "MEMORY_NAMESPACE", "Namespace a client or MCP server works in.")
    tools: str = _setting("core", "MEMORY_TOOLS", "MCP tool profile: core or full.")
    mcp_idle_s: float = _setting(
        900.0, "MEMORY_MCP_IDLE_S", "Seconds the MCP servers' resident process waits for a session.", 0.05, 1e6
    )
    mcp_max_tokens: int = _setting(
        20_000,
        "MEMORY_MCP_MAX_TOKENS",
        "Tokens of a tool's reply at the most, by estimate; max_tokens asks for more.",
        1_000,
        1_000_000,
    )
    autostart: bool = _setting(
        True, "MEMORY_AUTOSTART", "Start the daemon when nobody answers on the socket (MCP server and command line)."
    )
    log_level: str = _setting("INFO", "MEMORY_LOG_LEVEL", "DEBUG, INFO, WARNING or ERROR; to standard error only.")
    max_connections: int = _setting(512, "MEMORY_MAX_CONNECTIONS", "Connections served at once.", 1, 65_536)
    max_request_bytes: int = _setting(
        16 * 1024 * 1024, "MEMORY_MAX_REQUEST_BYTES", "Largest request, in bytes.", 1024, 1 << 30
    )
    request_timeout_s: float = _setting(
        30.0, "MEMORY_REQUEST_TIMEOUT_S", "Seconds a client has to finish a request once begun.", 0.05, 3600
    )
    operation_timeout_s: float = _setting(
        30.0, "MEMORY_OPERATION_TIMEOUT_S", "Seconds one operation may take, waiting included.", 0.05, 3600
    )
    read_wait_s: float = _setting(
        1.5, "MEMORY_READ_WAIT_S", "Seconds a read may wait for its turn before it is answered busy.", 0.01, 3600
    )
    reply_timeout_s: float = _setting(
        30.0, "MEMORY_REPLY_TIMEOUT_S", "Seconds a client has to take a reply before it is dropped.", 0.05, 3600
    )
    max_queue: int = _setting(1024, "MEMORY_MAX_QUEUE", "Writes that may wait for the writer.", 1, 1_000_000)
    semantic: str = _setting(
        "auto", "MEMORY_SEMANTIC", "Search by meaning: auto (where the embedder is installed) or off."
    )
    embedder: str = _setting(
        "minilm",
        "MEMORY_EMBEDDER",
        "Model for it: minilm, fastembed:MODEL or sentence-transformers:MODEL; nothing is downloaded.",
    )
    curation: bool = _setting(
        False, "MEMORY_CURATION", "Let the tiers of every namespace manage themselves, as autonomous_curation does."
    )
    curation_interval_h: float = _setting(
        24.0, "MEMORY_CURATION_INTERVAL_H", "Hours from the end of one such curation to the next.", 0.001, 8_760
    )
    llm_model: str = _setting(
        "claude-haiku-4-5",
        "MEMORY_LLM_MODEL",
        "Model that extractor llm asks, with the extra anthropic and ANTHROPIC_API_KEY.",
    )
    mask_secrets: bool = _setting(
        True, "MEMORY_MASK_SECRETS", "Replace keys, passwords, card and account numbers in extracted facts by a mark."
    )
    readers: int = _setting(4, "MEMORY_READERS", "Read-only database connections kept open.", 1, 64)
    read_processes: int = _setting(
        2, "MEMORY_READ_PROCESSES", "Processes that help where many clients ask at once; 0 for none.", 0, 64
    )
    backup_dir: str = _setting(
        "", "MEMORY_BACKUP_DIR", "Folder of backups that are given no path; empty: backups, beside the database."
    )

    sandbox_allow_partial: bool = _setting(
        False,
        "MEMORY_SANDBOX_ALLOW_PARTIAL",
        "Execute code on Linux even where the kernel does not confine it wholly.",
    )

    metrics: str = _setting(
        "",
        "MEMORY_METRICS",
        "Figures for Prometheus: a loopback port, as 127.0.0.1:9464, or a file, whose path ends in .prom.",
    )

    @classmethod
    def load(cls, flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
        """Settings from `flags` (field name to value, None where not given) over `environ` over the defaults.

        Raises: InvalidParams: a value of the wrong type or outside its range; the sentence names the variable.
        """
        values: dict[str, Any] = {}
        for spec in dataclasses.fields(cls):
            given = (flags or {}).get(spec.name)
            if given is None:
                given = environ.get(spec.metadata["variable"]) or None
            if given is not None:
                values[spec.name] = _convert(spec, given)
        settings = cls(**values)
        metrics = _expand(settings.metrics) if settings.metrics.endswith(".prom") else settings.metrics
        return dataclasses.replace(
            settings,
            db_path=_expand(settings.db_path),
            socket_path=_expand(settings.socket_path),
            metrics=metrics,
            backup_dir=_expand(settings.backup_dir) if settings.backup_dir else "",
        )


def _expand(path: str) -> str:
    """`path` with ~ and variables expanded, made absolute."""
    return str(Path(os.path.expandvars(path)).expanduser().absolute())


def _convert(spec: dataclasses.Field[Any], given: Any) -> Any:
    """`given` (text from the environment, or a flag's value) as the field's type, checked."""
    variable = spec.metadata["variable"]
    kind: Any = type(spec.default)
    if kind is bool:
        text = str(given).strip().lower()
        if text in ("1", "true", "yes", "on"):
            return True
        if text in ("0", "false", "no", "off"):
            return False
        raise InvalidParams(f"{variable} must be 1 or 0, not {given!r}")
    if kind is str:
        return _checked_text(spec.name, variable, str(given))
    try:
        number = kind(given)
    except (TypeError, ValueError) as error:
        raise InvalidParams(f"{variable} must be a number, not {given!r}") from error
    low, high = spec.metadata["low"], spec.metadata["high"]
    if not low <= number <= high:
        raise InvalidParams(f"{variable} must lie between {low:g} and {high:g}, not {number:g}")
    return number


def _checked_text(name: str, variable: str, text: str) -> str:
    allowed = {"log_level": LOG_LEVELS, "tools": TOOL_PROFILES, "semantic": SEMANTIC_MODES}.get(name)
    if allowed is None:
        return text
    for word in allowed:
        if word.lower() == text.strip().lower():
            return word
    raise InvalidParams(f"{variable} must be one of {', '.join(allowed)}, not {text!r}")
