#!/usr/bin/env python3
"""Make the pages that repeat the register, the settings and the errors, or with --check say which of them are stale.

`client/methods.py` from the operations' signatures, `docs/operations.md` from their words and schemas,
`docs/settings.md` from the fields of Settings, `docs/errors.md` from the tree of errors. Run it after changing any of
those; `tests/house/test_parity.py` does so with --check. Formatting is ruff's, so that a made page passes the same
checks as a written one.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import inspect
import json
import re
import subprocess
import sys
import textwrap
import typing
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from enhanced_memory import errors, registry, shapes  # noqa: E402 - the checkout's own, wherever this is started
from enhanced_memory.registry import Operation, argument_name, fields_of  # noqa: E402
from enhanced_memory.settings import Settings  # noqa: E402

WIDTH = 120

# ------------------------------------------------------------------------------------------------ client/methods.py

_METHODS_HEAD = '''"""The operations as methods of the two clients. Made by scripts/generate.py: do not edit.

Above it lie the clients, which add `call`; below it nothing at run time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import {typing}

if TYPE_CHECKING:
{imports}

READS = frozenset({reads})
"""Operations that change nothing: one may be sent again whatever became of it."""

WRITES = frozenset({writes})
"""Operations that change the store in one transaction: one may be sent again under the same request id."""

LONG: frozenset[str] = frozenset({long})
"""Operations that work in slices, and may take an hour."""

TIMED = {timed}
"""Operations that are given seconds of their own, `timeout_s`, and how many unless the caller says."""


def _given(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters that are not None."""
    return {{name: value for name, value in params.items() if value is not None}}

'''

_CLASS_HEAD = '''
class {name}(ABC):
    """Every operation, by way of `call`."""

    @abstractmethod
    {prefix}def call(
        self, method: str, params: Mapping[str, Any] | None = None, *, request_id: str | None = None
    ) -> Reply:
        """The reply to one request."""
'''


class _Plain(ast.NodeTransformer):
    """Takes `Annotated[type, ...]` down to the type, and a name the operations' module gave to one to what it names."""

    def __init__(self, module_source: str) -> None:
        self._named = {
            target.id: statement.value
            for statement in ast.parse(module_source).body
            if isinstance(statement, ast.Assign)
            for target in statement.targets
            if isinstance(target, ast.Name)
        }

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id == "Annotated":
            assert isinstance(node.slice, ast.Tuple)
            return self.visit(node.slice.elts[0])  # type: ignore[no-any-return]
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self.visit(self._named[node.id]) if node.id in self._named else node


def methods_source(operations: Iterable[Operation]) -> str:
    """The text of client/methods.py."""
    declared = list(operations)
    names: dict[str, set[str]] = defaultdict(set)
    names["enhanced_memory.client.connection"].add("Reply")
    names["typing"].update(("TYPE_CHECKING", "Any"))
    classes = ""
    for class_name, prefix in (("AsyncMethods", "async "), ("BlockingMethods", "")):
        classes += _CLASS_HEAD.format(name=class_name, prefix=prefix)
        classes += "".join(_method(operation, prefix, names) for operation in declared)
    head = _METHODS_HEAD.format(
        typing=", ".join(sorted(names.pop("typing"), key=lambda name: (not name.isupper(), name))),
        imports="\n".join(f"    from {module} import {', '.join(sorted(names[module]))}" for module in sorted(names)),
        reads=json.dumps(sorted(op.name for op in declared if not op.writes)),
        writes=json.dumps(sorted(op.name for op in declared if op.writes and op.transaction)),
        long=json.dumps(sorted(op.name for op in declared if op.long)),
        timed=json.dumps(
            {op.name: fields_of(op)["timeout_s"].default for op in declared if "timeout_s" in fields_of(op)}
        ),
    )
    return _formatted(head + classes)


def _method(operation: Operation, prefix: str, names: dict[str, set[str]]) -> str:
    """The method of one operation; `names` gathers, by module, what its annotations need."""
    signature = ["self"]
    always: list[str] = []
    given: list[str] = []
    annotations = _annotations(operation)
    for parameter in list(inspect.signature(operation.handler).parameters.values())[1:]:
        annotation = annotations[parameter.name]
        for node in ast.walk(annotation):
            if isinstance(node, ast.Name):
                module = _module_of(node.id)
                if module is not None:
                    names[module].add(node.id)
        text = f"{parameter.name}: {ast.unparse(annotation)}"
        if parameter.default is not inspect.Parameter.empty:
            text += f" = {parameter.default!r}"
        signature.append(text)
        kind = given if parameter.default is None else always
        kind.append(f'"{argument_name(parameter.name)}": {parameter.name}')
    if operation.writes:
        signature += ["*", "request_id: str | None = None"]
    params = " | ".join(
        part
        for part in (f"{{{', '.join(always)}}}" if always else "", f"_given({{{', '.join(given)}}})" if given else "")
        if part
    )
    arguments = [f'"{operation.name}"', *([params] if params else [])]
    if operation.writes:
        arguments.append("request_id=request_id")
    words = textwrap.wrap(f'"""{first_sentence(operation)}"""', WIDTH - 8)
    return "\n".join(
        [
            "",
            f"    {prefix}def {operation.name}({', '.join(signature)}) -> Reply:",
            *(f"        {line}" for line in words),
            f"        return {'await ' if prefix else ''}self.call({', '.join(arguments)})",
            "",
        ]
    )


def _annotations(operation: Operation) -> dict[str, ast.expr]:
    """The handler's annotations as they stand in its source, without what is said for checks and schemas only."""
    plain = _Plain(Path(inspect.getfile(operation.handler)).read_text(encoding="utf-8"))
    [function] = ast.parse(inspect.getsource(operation.handler)).body
    assert isinstance(function, ast.FunctionDef)
    arguments = function.args.args + function.args.kwonlyargs
    return {argument.arg: plain.visit(argument.annotation) for argument in arguments if argument.annotation is not None}


def _module_of(name: str) -> str | None:
    """Where a type checker finds a `name` that an operation's annotation uses; None for a builtin."""
    if hasattr(builtins, name):
        return None
    if hasattr(typing, name) and getattr(shapes, name, None) in (None, getattr(typing, name)):
        return "typing"
    if hasattr(shapes, name):
        return shapes.__name__
    raise LookupError(f"{name} is neither Python's nor in shapes.py; a client cannot name it")


def first_sentence(operation: Operation) -> str:
    """The first sentence of an operation's words, on one line."""
    paragraph = " ".join(operation.description.split("\n\n")[0].split())
    return re.split(r"(?<=[.!?])\s+(?=[A-Z])", paragraph)[0]


def _formatted(source: str) -> str:
    """`source` as ruff formats it."""
    command = [sys.executable, "-m", "ruff", "format", "--config", str(ROOT / "pyproject.toml"), "-"]
    return subprocess.run(command, input=source, capture_output=True, text=True, check=True).stdout


# ----------------------------------------------------------------------------------------------- docs/operations.md

_OPERATIONS_HEAD = """# Operations

Made by `scripts/generate.py` from the register of operations: do not edit.

A request is one line of JSON, `{"method": "search_nodes", "params": {"query": "tea"}}`, and the reply is one line too.
Every reply carries `success`; a failure carries `error`, `code`, and where they help `hint` and `details`.
A write takes a `request_id` beside its `params`: the same id within an hour gives the first reply again.
"""


def operations_page(operations: Iterable[Operation]) -> str:
    """The text of docs/operations.md."""
    declared = list(operations)
    kinds: dict[str, dict[str, Any]] = {}
    sections = [_operation_section(operation, kinds) for operation in declared]
    contents = "\n".join(f"- [{op.name}](#{op.name}): {first_sentence(op)}" for op in declared)
    objects = "".join(_object_section(name, kinds[name]) for name in sorted(kinds))
    return f"{_OPERATIONS_HEAD}\n{contents}\n\n{''.join(sections)}# Objects\n\n{objects}".rstrip() + "\n"


def _operation_section(operation: Operation, kinds: dict[str, dict[str, Any]]) -> str:
    params = operation.params_schema
    result = operation.result_schema
    for schema in (params, result):
        kinds.update(schema.get("$defs", {}))
    own = {key: value for key, value in result["properties"].items() if key not in _REPLY_KEYS}
    words = re.sub(r"\b[A-Z]\w+\b", _code, operation.description.replace("Raises:", "Fails with"))
    text = f"## {operation.name}\n\n{operation.title}: {_hints(operation)}.\n\n{words}\n\n"
    if params["properties"]:
        text += f"Parameters:\n\n{_table(params['properties'], params.get('required', ()))}\n"
    else:
        text += "It takes no parameters.\n\n"
    if own:
        rows = "".join(f"- `{key}`: {_said(_kind(value), value)}\n" for key, value in own.items())
        text += f"Result:\n\n{rows}\n"
    return text


_REPLY_KEYS = ("success", "error", "code", "hint")


def _code(word: re.Match[str]) -> str:
    """The code on the wire of an error a docstring names; any other word as it is."""
    error = getattr(errors, word[0], None)
    return f"`{error.code}`" if isinstance(error, type) and issubclass(error, errors.EnhancedMemoryError) else word[0]


def _hints(operation: Operation) -> str:
    words = ["writes" if operation.writes else "reads"]
    if operation.destructive:
        words.append("may take away what was there")
    if operation.writes and operation.idempotent:
        words.append("repeating it changes nothing more")
    if operation.core:
        words.append("core")
    return ", ".join(words)


def _object_section(name: str, schema: Mapping[str, Any]) -> str:
    words = schema.get("description", "")
    text = f"## {name}\n\n{words}\n\n" if words else f"## {name}\n\n"
    if "properties" in schema:
        return f"{text}{_table(schema['properties'], schema.get('required', ()))}\n"
    return f"{text}{_said(_kind(schema), {})}\n\n"


def _table(properties: Mapping[str, Any], required: Iterable[str]) -> str:
    rows = ["| name | type | default | bounds | meaning |", "|---|---|---|---|---|"]
    for name, schema in properties.items():
        default = "required" if name in required else _default(schema)
        words = " ".join(schema.get("description", "").split())
        rows.append(_row(f"`{name}`", _kind(schema), default, _bounds(schema), words))
    return "\n".join(rows) + "\n"


def _row(*cells: str) -> str:
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def _default(schema: Mapping[str, Any]) -> str:
    default = schema.get("default")
    return "" if default is None else f"`{json.dumps(default, ensure_ascii=False)}`"


def _said(kind: str, schema: Mapping[str, Any]) -> str:
    words = " ".join(schema.get("description", "").split())
    return f"{kind}. {words}" if words else kind


def _kind(schema: Mapping[str, Any]) -> str:
    """A JSON Schema as a person names it: `list of string`, `EntityFields`, `"full" or "names"`."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_kind(option) for option in schema["anyOf"] if option.get("type") != "null")
    if "enum" in schema:
        return " or ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_kind(schema['additionalProperties'])}"
    return str(schema.get("type", "any"))


def _bounds(schema: Mapping[str, Any]) -> str:
    """The limits in a schema, those of a list's items included."""
    for option in schema.get("anyOf", ()):
        if option.get("type") != "null":
            return _bounds(option)
    parts = []
    for low_key, high_key, unit in (
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " items"),
    ):
        low, high = schema.get(low_key), schema.get(high_key)
        if low is not None and high is not None:
            parts.append(f"{low:,} to {high:,}{unit}")
        elif high is not None:
            parts.append(f"at most {high:,}{unit}")
        elif low == 1 and unit:
            parts.append("not empty")
        elif low is not None:
            parts.append(f"at least {low:,}{unit}")
    if "items" in schema and (inner := _bounds(schema["items"])):
        parts.append(f"each {inner}")
    return ", ".join(parts)


# ------------------------------------------------------------------------------------------------- docs/settings.md

_SETTINGS_HEAD = """# Settings

Made by `scripts/generate.py` from `enhanced_memory/settings.py`: do not edit.

A flag wins over the environment, the environment over the default.
`~` and variables in paths are expanded.
Namespace, tool profile and autostart are for the MCP server and the command line; the daemon has flags for the others.

| variable | flag | default | bounds | meaning |
|---|---|---|---|---|
"""


def settings_page() -> str:
    """The text of docs/settings.md."""
    rows = []
    for spec in fields(Settings):
        facts = spec.metadata
        default = int(spec.default) if isinstance(spec.default, bool) else spec.default
        bounds = "" if facts["low"] is None else f"{facts['low']:,} to {facts['high']:,}"
        flag = (
            "--no-autostart" if spec.name == "autostart" else "--" + spec.name.removesuffix("_path").replace("_", "-")
        )
        rows.append(
            _row(
                f"`{facts['variable']}`", f"`{flag}`", f"`{default}`" if default != "" else "", bounds, facts["meaning"]
            )
            + "\n"
        )
    return _SETTINGS_HEAD + "".join(rows)


# --------------------------------------------------------------------------------------------------- docs/errors.md

_ERRORS_HEAD = """# Errors

Made by `scripts/generate.py` from `enhanced_memory/errors.py`: do not edit.

A request that fails is answered with `success` false, a sentence in `error`, and one of these codes.
The codes never change.
`hint` tells the way out where there is one, and `details` names what is to blame.
A write that fails has changed nothing, unless its code says otherwise; a long operation keeps what it had finished.

```json
{
  "success": false,
  "error": "nothing was ever called 'Ada'",
  "code": "not_found",
  "hint": "search_nodes finds names",
  "details": {"entity": "Ada"}
}
```

An assistant is shown the sentence and the hint as a tool's error.
The command line prints both, and ends with status 1, or 3 where there is no daemon.
The Python client returns the reply, and raises `DaemonUnavailable` only.
"""


def errors_page(operations: Iterable[Operation]) -> str:
    """The text of docs/errors.md: a section for each branch of the tree, a row for each code in it."""
    declared = list(operations)
    sections = []
    for branch in errors.EnhancedMemoryError.__subclasses__():
        leaves = branch.__subclasses__() or [branch]
        title = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", branch.__name__).capitalize()
        rows = "".join(_error_row(leaf, declared) for leaf in leaves)
        words = "" if leaves == [branch] else f"{_one_line(branch)}\n\n"
        sections.append(f"## {title}\n\n{words}| code | meaning | named by |\n|---|---|---|\n{rows}")
    return f"{_ERRORS_HEAD}\n" + "\n".join(sections)


def _error_row(error: type[errors.EnhancedMemoryError], operations: Iterable[Operation]) -> str:
    """One code with its meaning and the operations whose words name it; any may fail with those that none names."""
    named = [op.name for op in operations if re.search(rf"\b{error.__name__}\b", op.description)]
    return (
        _row(f"`{error.code}`", _one_line(error), ", ".join(f"[{name}](operations.md#{name})" for name in named)) + "\n"
    )


def _one_line(error: type[errors.EnhancedMemoryError]) -> str:
    return " ".join((error.__doc__ or "").split())


# -------------------------------------------------------------------------------------------------------- all pages


def pages() -> dict[Path, str]:
    """Every made page: its path, and the text it must have."""
    declared = registry.operations().values()
    return {
        ROOT / "enhanced_memory" / "client" / "methods.py": methods_source(declared),
        ROOT / "docs" / "operations.md": operations_page(declared),
        ROOT / "docs" / "settings.md": settings_page(),
        ROOT / "docs" / "errors.md": errors_page(declared),
    }


def main(argv: list[str] | None = None) -> int:
    """Write the pages that changed, or with --check name the stale ones; 1 where --check found any."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is stale")
    check = parser.parse_args(argv).check
    stale = {
        path: text for path, text in pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    for path, text in stale.items():
        if check:
            print(f"{path.relative_to(ROOT)} is stale; run scripts/generate.py")
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"{path.relative_to(ROOT)} made anew")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
