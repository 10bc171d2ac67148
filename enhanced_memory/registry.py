"""The register of operations: one declaration each, from which everything that repeats its name derives.

A decorated function in `operations/` is the whole declaration: name, arguments with their bounds and words, result.
The dispatcher's checks, `describe`, the MCP tools, the command line, the client's methods and `docs/operations.md`
are made from it. Above it lie operations and wings; below it only the errors.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
import re
import sys
import threading
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic.fields import FieldInfo

from enhanced_memory.errors import Busy, InvalidParams, TooLarge, UnknownMethod

_REPLY_PROPERTIES: dict[str, Any] = {
    "success": {"type": "boolean"},
    "error": {"type": "string"},
    "code": {"type": "string"},
    "hint": {"type": "string"},
}
"""Keys any reply may carry: `success` always, the others on a failure."""


More = Callable[[Any], "Callable[[Any], dict[str, Any]] | None"]
"""What is done after a write: context without a transaction -> (context of a write -> the whole reply), or None."""

After = Callable[[Mapping[str, Any], dict[str, Any]], "More | None"]
"""What `after` of an operation is: (arguments, reply) -> what is to be done, or None; quick, since others wait."""


@dataclass(frozen=True)
class Operation:
    """One operation as declared: what it is called, what it takes, what it gives and how it touches the store.

    `writes`: it may change the store. `transaction`: the dispatcher opens one around it; without one it opens its
    own through its context, or needs none. `core`: it is in the core tool profile. `destructive` and `idempotent`
    are the hints of the tool protocol: it may take away what was there; repeating it changes nothing more.
    `administrative`: it is for people and programs, and code that is executed cannot call it. `long`: it works in
    slices, tells its progress, and may take an hour, not the seconds of the others; `transaction` is False for it.
    `apart`: it reads the store and needs nothing of the running service, so another process can answer it; its
    arguments, once checked, are JSON data.
    `drafts` gives, for the arguments of a write, the entities it will likely create (store.base.Draft).
    `after` is asked once a write is safe whether more is to be done: what it gives runs with a context without a
    transaction, and may give a function that completes the reply in a write transaction.
    """

    name: str
    handler: Callable[..., Any]
    writes: bool
    transaction: bool
    core: bool
    destructive: bool
    idempotent: bool
    administrative: bool
    long: bool
    apart: bool
    after: After | None
    title: str
    description: str
    drafts: Callable[[Mapping[str, Any]], list[Any]] | None = None

    @cached_property
    def params(self) -> type[BaseModel]:
        """The arguments as a strict pydantic model, made when it is first needed: fifty of them would slow a start."""
        return _params_model(self.handler, self._hints)

    @cached_property
    def result(self) -> Any:
        """The declared shape of what it returns."""
        return self._hints["return"]

    @cached_property
    def _hints(self) -> Mapping[str, Any]:
        # The context's type is imported for type checkers alone, so that a signature can be read without a store.
        return typing.get_type_hints(self.handler, localns={"Context": Any}, include_extras=True)

    def check(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The handler's keyword arguments for `params`, defaults filled in.

        Raises: InvalidParams: missing, unknown or ill-typed; details.path names it, as in `entities[3].name`.
                TooLarge: a list or an observation over its limit.
        """
        unknown = params.keys() - self._names
        if unknown:
            word = min(unknown)[:100]
            known = difflib.get_close_matches(word, self._names, n=1)
            hint = f"did you mean {known[0]}?" if known else f"it takes {', '.join(sorted(self._names)) or 'none'}"
            raise InvalidParams(f"{self.name} has no parameter {word!r}", hint=hint, details={"path": word})
        try:
            checked = self.params.model_validate(params)
        except ValidationError as error:
            raise _explained(self.name, error) from None
        return dict(checked.__dict__)

    @cached_property
    def _names(self) -> frozenset[str]:
        """The parameters as the wire calls them."""
        return frozenset(map(argument_name, self.params.model_fields))

    @cached_property
    def params_schema(self) -> dict[str, Any]:
        """JSON Schema of `params`."""
        return self.params.model_json_schema()

    @cached_property
    def _result_adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.result)

    @cached_property
    def result_schema(self) -> dict[str, Any]:
        """JSON Schema of a reply, success or failure: only `success` is required, and further keys may come."""
        schema = dict(self._result_adapter.json_schema())
        schema.pop("description", None)
        schema["properties"] = {**_REPLY_PROPERTIES, **schema.get("properties", {})}
        schema["required"] = ["success"]
        return schema

    def check_result(self, result: Any) -> None:
        """Hold `result` against the declared shape; for tests. Raises: pydantic.ValidationError."""
        self._result_adapter.validate_python(result)


_PACKAGE = "enhanced_memory.operations"

_LISTED_FIRST = ("entities", "graph")
_LOADED_FIRST = ("status", "entities", "graph", "search", "relations")
"""Modules of operations that come first; the others follow by name. What is asked most is loaded first."""

_declared: dict[str, Operation] = {}
_loaded: dict[str, Operation] = {}
"""Those of modules that are loaded to their last line; a thread must not get one whose module another still loads."""

_in_order: dict[str, Operation] = {}
_loading = threading.RLock()


def operation(
    *,
    writes: bool,
    transaction: bool = True,
    core: bool = False,
    destructive: bool = False,
    idempotent: bool | None = None,
    administrative: bool = False,
    long: bool = False,
    apart: bool = False,
    after: After | None = None,
    title: str | None = None,
    drafts: Callable[[Mapping[str, Any]], list[Any]] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare the decorated function an operation, under its own name.

    Its first parameter is the Context; each further one is `name: Annotated[type, Field(description=...)]`, a
    trailing underscore standing for a word Python reserves. The return annotation is the result's shape, the
    docstring the words an assistant reads. A read is idempotent unless said otherwise, a write is not.
    """

    def register(handler: Callable[..., Any]) -> Callable[..., Any]:
        name = handler.__name__
        if name in _declared:
            raise ValueError(f"operation {name} is declared twice")
        _declared[name] = Operation(
            name=name,
            handler=handler,
            writes=writes,
            transaction=transaction and not long,
            core=core,
            destructive=destructive,
            idempotent=not writes if idempotent is None else idempotent,
            administrative=administrative,
            long=long,
            apart=apart,
            after=after,
            title=title or name.replace("_", " ").capitalize(),
            description=inspect.getdoc(handler) or "",
            drafts=drafts,
        )
        return handler

    return register


def operations() -> Mapping[str, Operation]:
    """Every declared operation by name, in the order of their modules and lines."""
    global _in_order
    if not _in_order:
        _load(None)
        modules = [f"{_PACKAGE}.{module}" for module in _modules(_LISTED_FIRST)]
        declared = sorted(
            _loaded.values(),
            key=lambda each: (modules.index(each.handler.__module__), each.handler.__code__.co_firstlineno),
        )
        _in_order = {each.name: each for each in declared}
    return _in_order


def find(name: str) -> Operation:
    """The operation called `name`; of the modules that are not loaded yet, only those up to its own are.

    Raises: UnknownMethod: there is none; the hint names the nearest. Busy: it cannot be loaded just now.
    """
    found = _found(name)
    if found is not None:
        return found
    nearest = _nearest(name[:100])
    hint = "`describe` lists every operation"
    raise UnknownMethod(
        f"there is no operation {name[:100]!r}", hint=hint if nearest is None else f"did you mean {nearest}? {hint}"
    )


_ONE_WORD: Final = 0.7
_ONE_NAME: Final = 0.85
"""Likeness (0..1) from which two words, or two whole names, are one that was written wrong: entity and entities are
0.71 alike, merge and purge 0.6."""


def _nearest(name: str) -> str | None:
    """The operation that is meant by a name which is none, where every word of it is nearly one of the operation's."""

    def alike(one: str, other: str) -> float:
        return difflib.SequenceMatcher(None, one, other).ratio()

    asked = [word for word in re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()) if word]
    likely = []
    for known in operations():
        words = known.split("_")
        whole = alike("".join(asked), "".join(words))
        if (whole >= _ONE_NAME and len(asked) == 1) or (
            asked and all(max(alike(word, each) for each in words) >= _ONE_WORD for word in asked)
        ):
            likely.append((whole, known))
    return max(likely)[1] if likely else None


def is_loaded(name: str) -> bool:
    """Whether an operation called `name` is there and was asked for already; loads nothing."""
    return name in _loaded


def _found(name: str) -> Operation | None:
    found = _loaded.get(name)
    if found is None and not _in_order:
        _load(name)
        found = _loaded.get(name)
    return found


def load_first() -> None:
    """Load the operations that are asked most, so that none of them can fail for want of a descriptor or of memory.

    What modules there are is found out as well: without a descriptor a folder seems empty.
    """
    _all_modules()
    for module in _LOADED_FIRST:
        _import(module)


def _load(name: str | None) -> None:
    """Load modules of operations until one called `name` is among them; all of them if none is. Raises: Busy."""
    for module in _modules(_LOADED_FIRST):
        if name in _loaded:
            return
        _import(module)


def _import(module: str) -> None:
    """Load one module of operations to its last line. Raises: Busy: the system has nothing left to read it with."""
    with _loading:
        try:
            importlib.import_module(f"{_PACKAGE}.{module}")
        except (OSError, MemoryError) as error:
            for name in [name for name, each in _declared.items() if each.handler.__module__ not in sys.modules]:
                del _declared[name]  # of a module that was given up, and is read again from its first line
            raise Busy(f"the operation cannot be loaded just now ({error})", hint="ask again in a moment") from error
        _loaded.update(_declared)


def _modules(first: tuple[str, ...]) -> list[str]:
    """The modules of operations, and those they share: `first`, then the others by name."""
    return [*first, *sorted(_all_modules() - set(first))]


@cache
def _all_modules() -> frozenset[str]:
    package = importlib.import_module(_PACKAGE)
    return frozenset(module.name for module in pkgutil.iter_modules(package.__path__))


def argument_name(parameter: str) -> str:
    """The wire's name of a Python parameter: `from_` is `from`."""
    return parameter.rstrip("_")


def _params_model(handler: Callable[..., Any], hints: Mapping[str, Any]) -> type[BaseModel]:
    """A strict pydantic model of the handler's arguments, the context left out."""
    fields: dict[str, Any] = {}
    for parameter in list(inspect.signature(handler).parameters.values())[1:]:
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        annotation = hints[parameter.name]
        wire_name = argument_name(parameter.name)
        if wire_name != parameter.name:
            annotation = typing.Annotated[annotation, Field(alias=wire_name)]
        fields[parameter.name] = (annotation, default)
    return create_model(
        f"{handler.__name__}_params",
        __config__=ConfigDict(extra="forbid", strict=True, title=handler.__name__),
        **fields,
    )


def fields_of(declared: Operation) -> Mapping[str, FieldInfo]:
    """The arguments of an operation as pydantic's field descriptions, by Python name."""
    return declared.params.model_fields


_URGENCY = {"too_large": 0, "too_long": 0, "extra_forbidden": 1}
"""Which of several problems is told first: a limit, then a word nobody knows, which may explain one that is missing."""


def _path(location: tuple[int | str, ...]) -> str:
    """A pydantic location as a person writes it: ("entities", 3, "name") is entities[3].name."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif "[" not in part and "(" not in part:  # union members and validators name themselves in the location
            text += f".{part}" if text else part
    return text


def _explained(name: str, error: ValidationError) -> InvalidParams | TooLarge:
    """The first problem pydantic found as an error of ours; all of them (20 at most) in details."""
    problems = [
        {"path": _path(item["loc"]), "problem": item["msg"], "type": item["type"]}
        for item in error.errors(include_url=False, include_context=False, include_input=False)[:20]
    ]
    first = min(problems, key=lambda problem: _URGENCY.get(problem["type"], 2))
    kind = TooLarge if first["type"] in ("too_large", "too_long") else InvalidParams
    where = first["path"] or "params"
    sentence = {
        "missing": f"{name} needs {where}",
        "extra_forbidden": f"{name} has no parameter {where}",
    }.get(first["type"], f"{where}: {first['problem']}")
    details = {"path": where, "problems": [{"path": p["path"], "problem": p["problem"]} for p in problems]}
    return kind(sentence, hint=f"`describe` tells the parameters of {name!r}", details=details)
