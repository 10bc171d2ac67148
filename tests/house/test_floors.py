"""Imports go down: doors, wings, operations, rules and store, hall. Read from the source, so nothing is missed."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "enhanced_memory"

DOORS = ("memory_db_service", "memory_client", "server")
HALL = ("errors", "settings", "shapes", "wire", "starting", "registry", "context", "turns")

BELOW = {
    "door": {"service", "client", "mcp", "cli"},
    "service": {"operations", "rules", "store", "sandbox", "embedding", "hall"},
    "mcp": {"client", "rules", "hall"},
    "cli": {"client", "hall"},
    "client": {"hall"},
    "operations": {"rules", "store", "hall"},
    "rules": {"hall"},
    "store": {"hall"},
    "sandbox": {"hall"},
    "embedding": {"hall"},
    "hall": set(),
}
"""What each room may import beside itself. The command line may ask through the client; the wings never meet."""

LIBRARIES = {
    "service": {"anthropic", "click", "prometheus_client", "psutil", "setproctitle"},
    "mcp": {"anyio", "click", "fastmcp", "mcp", "mcp_types"},
    "cli": {"click", "ijson", "markdown_it", "rich", "yaml"},
    "operations": {"pydantic"},
    "store": {"numpy"},
    "embedding": {"fastembed", "numpy", "onnxruntime", "sentence_transformers"},
    "sandbox": {"RestrictedPython", "psutil", "timeout_decorator"},
    "hall": {"pydantic", "pydantic_core", "typing_extensions"},
}
"""What each room may import of other people's packages; a room that is not here, nothing."""

HEAVY = {
    "anthropic",
    "fastembed",
    "ijson",
    "markdown_it",
    "numpy",
    "onnxruntime",
    "prometheus_client",
    "sentence_transformers",
    "yaml",
}
"""Libraries that take long to load or may not be installed: imported where they are used, never with a module."""

PURE = {
    "__future__",
    "array",
    "bisect",
    "collections",
    "collections.abc",
    "dataclasses",
    "datetime",
    "difflib",
    "enum",
    "functools",
    "itertools",
    "json",
    "math",
    "operator",
    "os.path",
    "re",
    "statistics",
    "string",
    "typing",
    "unicodedata",
}
"""Modules of the standard library that rules may use: with them they see no file, no process and no chance."""


@dataclass(frozen=True)
class Import:
    """One import statement's target, and where it stands.

    `for_types`: only type checkers follow it. `when_called`: it stands in a function.
    """

    importer: str
    target: str
    line: int
    for_types: bool
    when_called: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.target}"


def modules() -> dict[str, Path]:
    """Every module of the product by its dotted name, the doors included."""
    found = {door: ROOT / f"{door}.py" for door in DOORS}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports_of(module: str) -> list[Import]:
    """Every import in a module's source, those inside functions too."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    return list(_imports(module, tree.body, for_types=False, when_called=False))


def _imports(module: str, body: Sequence[ast.AST], *, for_types: bool, when_called: bool) -> Iterator[Import]:
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, node.lineno, for_types, when_called)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: a relative import; say the whole name"
            source = node.module or ""
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                target = inner if inner in MODULES else source
                yield Import(module, target, node.lineno, for_types, when_called)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _imports(module, node.body, for_types=True, when_called=when_called)
            yield from _imports(module, node.orelse, for_types=for_types, when_called=when_called)
        else:
            inside = when_called or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from _imports(module, list(ast.iter_child_nodes(node)), for_types=for_types, when_called=inside)


IMPORTS = {module: imports_of(module) for module in MODULES}


def room(module: str) -> str:
    """The room a module is in."""
    if module in DOORS:
        return "door"
    parts = module.split(".")
    if len(parts) == 1 or parts[1] in HALL:
        return "hall"
    return parts[1]


def is_ours(target: str) -> bool:
    return target.split(".")[0] == PACKAGE or target in DOORS


def every_import() -> Iterator[Import]:
    for found in IMPORTS.values():
        yield from found


def test_every_module_is_in_a_room_of_the_house() -> None:
    assert {room(module) for module in MODULES} <= BELOW.keys()


def test_imports_only_go_down() -> None:
    upward = [
        str(found)
        for found in every_import()
        if is_ours(found.target) and room(found.target) not in {room(found.importer), *BELOW[room(found.importer)]}
    ]
    # The context hands operations their transaction; for its type alone it names the store's protocol.
    assert upward == [
        str(found)
        for found in IMPORTS[f"{PACKAGE}.context"]
        if found.for_types and found.target == f"{PACKAGE}.store.base"
    ]


def test_only_the_dispatcher_and_the_programs_beside_it_reach_past_the_protocol_into_an_engine() -> None:
    engine = f"{PACKAGE}.store.sqlite"
    reaching = {
        found.importer
        for found in every_import()
        if found.target.startswith(engine) and not found.importer.startswith(engine)
    }
    assert reaching == {f"{PACKAGE}.service.{module}" for module in ("dispatcher", "offline", "readers")}


@pytest.mark.parametrize("library", ["sqlite3", "pickle"])
def test_only_the_engine_knows_sqlite_and_pickle(library: str) -> None:
    users = {found.importer for found in every_import() if found.target.split(".")[0] == library}
    assert users, f"nobody imports {library}: this test looks at the wrong thing"
    assert all(user.startswith(f"{PACKAGE}.store.sqlite") for user in users), users


def test_a_room_imports_only_the_libraries_it_is_known_for() -> None:
    strangers = [
        str(found)
        for found in every_import()
        if not is_ours(found.target)
        and found.target.split(".")[0] not in sys.stdlib_module_names
        and found.target.split(".")[0] not in LIBRARIES.get(room(found.importer), set())
    ]
    assert strangers == []


def test_heavy_libraries_are_imported_only_when_a_function_needs_them() -> None:
    at_once = [
        str(found)
        for found in every_import()
        if found.target.split(".")[0] in HEAVY and not found.when_called and not found.for_types
    ]
    assert at_once == []


def test_the_client_and_all_that_it_loads_import_the_standard_library_only() -> None:
    waiting, seen = [module for module in MODULES if room(module) == "client"], set()
    strangers = []
    while waiting:
        module = waiting.pop()
        seen.add(module)
        for found in IMPORTS[module]:
            if found.for_types:
                continue
            if is_ours(found.target):
                waiting += {found.target} - seen
            elif found.target.split(".")[0] not in sys.stdlib_module_names:
                strangers.append(str(found))
    assert strangers == []


def test_rules_import_nothing_that_sees_the_world() -> None:
    seeing = [
        str(found)
        for found in every_import()
        if room(found.importer) == "rules" and not is_ours(found.target) and found.target not in PURE
    ]
    assert seeing == []


def test_rules_never_ask_for_the_time() -> None:
    asking = [
        f"{module}:{node.lineno} {ast.unparse(node)}"
        for module, path in MODULES.items()
        if room(module) == "rules"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today"}
    ]
    assert asking == []


@pytest.mark.parametrize("door", DOORS)
def test_a_door_holds_no_logic(door: str) -> None:
    for node in ast.parse(MODULES[door].read_text(encoding="utf-8")).body:
        names_exports = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        is_words = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        runs_main = isinstance(node, ast.If) and ast.unparse(node) == "if __name__ == '__main__':\n    main()"
        assert isinstance(node, ast.ImportFrom) or names_exports or is_words or runs_main, ast.unparse(node)
