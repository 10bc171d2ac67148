"""The client is imported by hooks and scheduled jobs that must start in milliseconds: standard library, and little."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

OWN = {"enhanced_memory", "memory_client"}


def loaded_by(*lines: str) -> set[str]:
    """Modules that a fresh interpreter loads while it runs `lines`; it sees this project and no installed package."""
    source = "\n".join(
        [
            "import json, sys",
            f"sys.path.insert(0, {str(ROOT)!r})",
            "before = set(sys.modules)",
            *lines,
            "print(json.dumps(sorted(set(sys.modules) - before)))",
        ]
    )
    answer = subprocess.run([sys.executable, "-I", "-S", "-c", source], capture_output=True, text=True, check=True)
    return set(json.loads(answer.stdout))


@pytest.mark.process
def test_importing_the_client_loads_the_standard_library_only_and_neither_asyncio_nor_the_settings() -> None:
    loaded = loaded_by("import memory_client")
    assert "enhanced_memory.client.connection" in loaded
    assert {name.split(".")[0] for name in loaded} <= sys.stdlib_module_names | OWN
    assert not loaded & {"asyncio", "pydantic", "dataclasses", "pathlib", "subprocess", "sqlite3"}


@pytest.mark.process
def test_using_the_blocking_client_loads_the_standard_library_only_and_no_asyncio(short_folder: Path) -> None:
    loaded = loaded_by(
        "from memory_client import BlockingMemoryClient, DaemonUnavailable",
        "try:",
        f"    BlockingMemoryClient({str(short_folder / 'none.sock')!r}).search_nodes('tea')",
        "except DaemonUnavailable:",
        "    pass",
    )
    assert {name.split(".")[0] for name in loaded} <= sys.stdlib_module_names | OWN
    assert not loaded & {"asyncio", "pydantic", "subprocess", "sqlite3"}


@pytest.mark.process
def test_the_asyncio_client_and_the_starting_of_a_daemon_load_the_standard_library_only(short_folder: Path) -> None:
    loaded = loaded_by(
        "import asyncio",
        "from memory_client import MemoryClient, DaemonUnavailable",
        "import enhanced_memory.client.launch",
        "try:",
        f"    asyncio.run(MemoryClient({str(short_folder / 'none.sock')!r}).search_nodes('tea'))",
        "except DaemonUnavailable:",
        "    pass",
    )
    assert "asyncio" in loaded
    assert {name.split(".")[0] for name in loaded} <= sys.stdlib_module_names | OWN


@pytest.mark.process
def test_telling_the_version_loads_click_and_no_sub_command() -> None:
    code = "from enhanced_memory.cli.main import main; main(['--version'])"
    program = f"import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); {code}"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    ours = {name for name in loaded if name.startswith("enhanced_memory.")}
    assert ours == {"enhanced_memory.cli", "enhanced_memory.cli.main", "enhanced_memory.cli.session"}
    assert not loaded & {"rich", "pydantic", "ijson", "markdown_it", "yaml", "asyncio", "json", "sqlite3", "subprocess"}
