"""The language layer: RestrictedPython's compiler and guards, widened where ordinary code needs it.

Above lies the worker, below RestrictedPython and the faces of modules. This layer gives clear errors and stops most
attacks; it is not the wall. The wall is the operating system's, in `confinement`: an escape from here is expected.

What code can reach is plain data that came through JSON, real builtin types, functions, faces, and classes of its own
without special methods. That is why C code may iterate over it without a guard (`sorted`, `sum`, `zip`): keep it so,
and never hand in an object of the host.
"""

from __future__ import annotations

import ast
import builtins
import datetime
import operator
import re
import string
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import CodeType
from typing import Any, Final

from RestrictedPython.compile import compile_restricted_exec
from RestrictedPython.Guards import (
    guarded_iter_unpack_sequence,
    guarded_unpack_sequence,
    safe_builtins,
    safer_getattr,
    safer_getattr_raise,
)
from RestrictedPython.transformer import IOPERATOR_TO_STR, RestrictingNodeTransformer, copy_locations

from enhanced_memory.sandbox.faces import FACES

FILENAME: Final = "<sandbox>"
"""File name of the code in tracebacks."""

_MAX_REASONS: Final = 3
_PLACE: Final = re.compile(r"Line (\d+|None): (?:SyntaxError: )?")
"""How RestrictedPython begins a reason; None where there is no line, as with a null byte."""

# ------------------------------------------------------------------------------------------------------- compiling


class Rejected(Exception):
    """Code that does not compile under the policy; `line` where it is known."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


def compile_code(source: str) -> CodeType:
    """The code object for `source`.

    Raises: Rejected: no Python, or Python that is not available here; the first reasons, each with its line.
    """
    try:
        compiled = compile_restricted_exec(source, FILENAME, dont_inherit=True, policy=_Transformer)
    except SyntaxError as error:  # what the parser takes and the compiler does not: `return` outside a function
        raise Rejected(f"line {error.lineno}: {error.msg}", error.lineno) from None
    except (RecursionError, MemoryError):
        raise Rejected("the code is nested too deeply", None) from None
    except ValueError as error:  # a null byte, in older Pythons
        raise Rejected(str(error), None) from None
    if compiled.code is None:
        reasons = [_reason(text) for text in compiled.errors[:_MAX_REASONS]]
        raise Rejected("; ".join(text for text, _ in reasons), reasons[0][1])
    return compiled.code


def _reason(text: str) -> tuple[str, int | None]:
    """One of RestrictedPython's reasons in our words, and its line."""
    place = _PLACE.match(text)
    text = _PLACE.sub("", text, count=1).removesuffix(" at statement: None")
    if place is None or place[1] == "None":
        return text, None
    return f"line {place[1]}: {text}", int(place[1])


_OWN_NAME: Final = re.compile(r"_(?!_|tmp\d|print$)\w*(?<!_)")
"""A name with one underscore at its beginning and none at its end. The guards have one at both; `_print` and `_tmp0`
are RestrictedPython's own."""


class _Transformer(RestrictingNodeTransformer):
    """RestrictedPython's rules, and the lines that people write most and it would refuse."""

    def check_name(self, node: Any, name: str | None, allow_magic_methods: bool = False) -> None:
        """Names of variables may begin with an underscore, as `_seen` does; attributes may not."""
        if name is None or not _OWN_NAME.fullmatch(name):
            super().check_name(node, name, allow_magic_methods)

    def visit_Name(self, node: ast.Name) -> Any:
        """`__name__` is "__main__", for `if __name__ == "__main__":`; every other such name stays refused."""
        if node.id != "__name__" or not isinstance(node.ctx, ast.Load):
            return super().visit_Name(node)
        return ast.copy_location(ast.Constant("__main__"), node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        """Imports for annotations are left out as the annotations are."""
        hints = node.module == "typing" or (
            node.module == "__future__" and [alias.name for alias in node.names] == ["annotations"]
        )
        return ast.copy_location(ast.Pass(), node) if hints and not node.level else super().visit_ImportFrom(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        """`d[k] += v` becomes `_inplaceitem_("+=", d, k, v)`, `o.x += v` likewise; of slices it stays refused."""
        target = node.target
        if isinstance(target, ast.Attribute):
            if target.attr.startswith("_"):
                return super().visit_Attribute(target)  # which says that
            return self._in_place(node, "_inplaceattr_", target.value, ast.Constant(target.attr))
        if not isinstance(target, ast.Subscript) or any(isinstance(part, ast.Slice) for part in ast.walk(target.slice)):
            return super().visit_AugAssign(node)
        return self._in_place(node, "_inplaceitem_", target.value, target.slice)

    def _in_place(self, node: ast.AugAssign, guard: str, container: ast.expr, place: ast.expr) -> ast.AST:
        call = ast.Call(
            func=ast.Name(guard, ast.Load()),
            args=[
                ast.Constant(IOPERATOR_TO_STR[type(node.op)]),
                self.visit(container),
                self.visit(place),
                self.visit(node.value),
            ],
            keywords=[],
        )
        statement = ast.Expr(call)
        copy_locations(statement, node)
        return statement

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        """`.__name__`, as in `type(error).__name__`, becomes a guarded look; every other underscore stays refused."""
        if node.attr != "__name__" or not isinstance(node.ctx, ast.Load):
            return super().visit_Attribute(node)
        name = ast.Name("_getattr_", ast.Load())
        look = ast.Call(func=name, args=[self.visit(node.value), ast.Constant("__name__")], keywords=[])
        copy_locations(look, node)
        return look

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        """`x: int = 0` without its annotation."""
        if node.value is None:
            plain: ast.stmt = ast.Pass()
        else:
            plain = ast.Assign(targets=[node.target], value=node.value)
        copy_locations(plain, node)
        return self.visit(plain)

    def visit_arg(self, node: ast.arg) -> Any:
        """A parameter without its annotation, which would look up names that are not there."""
        node.annotation = None
        return super().visit_arg(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        """A function without the annotation of its result."""
        node.returns = None
        return super().visit_FunctionDef(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> Any:
        """`except:` means `except Exception:`, so that it does not swallow the time limit."""
        if node.type is None:
            node.type = ast.Name("Exception", ast.Load())
            ast.copy_location(node.type, node)
        return super().visit_ExceptHandler(node)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> Any:
        """`nonlocal`, of names that may be variables: assigning to one is checked like any assignment."""
        return self._declared(node)

    def visit_Global(self, node: ast.Global) -> Any:
        """`global`, of names that may be variables."""
        return self._declared(node)

    def _declared(self, node: ast.Global | ast.Nonlocal) -> ast.AST:
        for name in node.names:
            self.check_name(node, name)
        return node

    def visit_Match(self, node: ast.Match) -> Any:
        """`match`: what its patterns look up behind the guards is refused in them, one by one."""
        return self.node_contents_visit(node)

    def visit_match_case(self, node: ast.match_case) -> Any:
        """A case, with its pattern and its condition."""
        return self.node_contents_visit(node)

    def visit_MatchValue(self, node: ast.MatchValue) -> Any:
        """A literal; a dotted name would be looked up without a guard."""
        return self._of_literals(node, [node.value])

    def visit_MatchSingleton(self, node: ast.MatchSingleton) -> Any:
        """None, True or False."""
        return node

    def visit_MatchSequence(self, node: ast.MatchSequence) -> Any:
        """`[first, *rest]`."""
        return self.node_contents_visit(node)

    def visit_MatchStar(self, node: ast.MatchStar) -> Any:
        """`*rest`."""
        self.check_name(node, node.name)
        return node

    def visit_MatchMapping(self, node: ast.MatchMapping) -> Any:
        """`{"key": pattern, **rest}` with literal keys."""
        self.check_name(node, node.rest)
        return self._of_literals(node, node.keys)

    def visit_MatchClass(self, node: ast.MatchClass) -> Any:
        """`str()` or `int(n)`; a keyword would read any attribute, and a dotted name be looked up without a guard."""
        if node.kwd_attrs or not isinstance(node.cls, ast.Name):
            self.error(node, "class patterns take a plain name and no keywords here, as in str() or int(n).")
            return node
        return self.node_contents_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs) -> Any:
        """`name`, `_` or `pattern as name`."""
        self.check_name(node, node.name)
        return self.node_contents_visit(node)

    def visit_MatchOr(self, node: ast.MatchOr) -> Any:
        """`one | other`."""
        return self.node_contents_visit(node)

    def _of_literals(self, node: ast.pattern, values: Sequence[ast.expr]) -> ast.AST:
        if any(isinstance(part, ast.Attribute) for value in values for part in ast.walk(value)):
            self.error(node, "patterns are made of literals and plain names here, not of dotted names.")
            return node
        return self.node_contents_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        """A class of its own: with a base or a metaclass it could pass for something else.

        Of special methods, which the interpreter calls behind the guards, it may have `__init__`.
        """
        if node.bases or node.keywords or node.decorator_list or getattr(node, "type_params", None):
            self.error(node, "a class has no bases, keywords, decorators or type parameters here.")
            return node
        for part in node.body:
            if isinstance(part, ast.FunctionDef) and part.name.startswith("__") and part.name != "__init__":
                self.error(part, f"of special methods a class has only __init__ here, not {part.name}.")
        made = super().visit_ClassDef(node)
        if isinstance(made, ast.ClassDef):  # written anew, on line 1
            ast.copy_location(made, node)
        return made


# ---------------------------------------------------------------------------------------------------------- guards

_CHANGEABLE: Final = frozenset({dict, list, Counter, OrderedDict, defaultdict, deque})

_DATA: Final = _CHANGEABLE | {
    bool, bytes, complex, float, frozenset, int, range, set, slice, str, tuple, type(None),
    datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone,
}  # fmt: skip

_OWN_CLASSES: Final[set[type]] = set()
"""Classes that the code has made. A process does one run."""

_CLASS_NAMES: Final = frozenset(
    {"__module__", "__qualname__", "__doc__", "__init__", "__firstlineno__", "__static_attributes__"}
)
"""What begins with two underscores and may stand in a class: what the compiler puts there, and `__init__`."""

_INPLACE: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+=": operator.iadd,
    "-=": operator.isub,
    "*=": operator.imul,
    "/=": operator.itruediv,
    "//=": operator.ifloordiv,
    "%=": operator.imod,
    "**=": operator.ipow,
    "<<=": operator.ilshift,
    ">>=": operator.irshift,
    "|=": operator.ior,
    "^=": operator.ixor,
    "&=": operator.iand,
    "@=": operator.imatmul,
}


class _PlainFormatter(string.Formatter):
    """`str.format` without attributes in its fields: `{0.attribute}` would pass by the guards."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if "." in field_name:
            raise ValueError(f"format field {field_name[:50]!r}: no attributes here; an f-string can say more")
        return super().get_field(field_name, args, kwargs)


_FORMATTER: Final = _PlainFormatter()


def _format(template: str, /, *args: Any, **kwargs: Any) -> str:
    return _FORMATTER.vformat(template, args, kwargs)


def _format_map(template: str, mapping: Mapping[str, Any], /) -> str:
    return _FORMATTER.vformat(template, (), mapping)


_FORMATS: Final[Mapping[str, Callable[..., str]]] = {"format": _format, "format_map": _format_map}


def _getattr(value: Any, name: str, *default: Any) -> Any:
    """`getattr` as code may have it: no underscores but a class's name, no frames, `format` made safe, no `mro`.

    `mro` leads from any exception to BaseException, which would catch the time limit.
    """
    if type(name) is str:
        if name == "mro":  # of whatever has one: `list[int]` is no class and hands on that of list
            raise AttributeError("'mro' is not available here")
        if name == "__name__" and isinstance(value, type):
            return value.__name__
        if name in _FORMATS:
            if isinstance(value, str):
                safe, template = _FORMATS[name], value
                return lambda *args, **kwargs: safe(template, *args, **kwargs)
            if isinstance(value, type) and issubclass(value, str):
                return _FORMATS[name]
    return safer_getattr(value, name, *default) if default else safer_getattr_raise(value, name)  # type: ignore[no-untyped-call]


def _hasattr(value: Any, name: str) -> bool:
    try:
        _getattr(value, name)
    except AttributeError:
        return False
    return True


def _type(value: Any) -> type:
    """`type` of data and of errors; of a class it would be `type` itself, which makes classes."""
    kind = type(value)
    if kind in _DATA or kind in _OWN_CLASSES or isinstance(value, Exception):
        return kind
    raise TypeError(f"type() of a {kind.__name__} is not available here")


def _write(value: Any) -> Any:
    """`value`, about to be changed by `value[key] = ...`, `value.name = ...` or `del`."""
    if type(value) not in _CHANGEABLE and type(value) not in _OWN_CLASSES:
        raise TypeError(f"a {type(value).__name__} cannot be changed here")
    return value


def _inplace_variable(symbol: str, old: Any, operand: Any) -> Any:
    return _INPLACE[symbol](old, operand)


def _inplace_item(symbol: str, container: Any, key: Any, operand: Any) -> None:
    _write(container)[key] = _INPLACE[symbol](container[key], operand)


def _inplace_attribute(symbol: str, value: Any, name: str, operand: Any) -> None:
    setattr(_write(value), name, _INPLACE[symbol](_getattr(value, name), operand))


def _make_class(name: str, bases: tuple[type, ...], namespace: Mapping[str, Any]) -> type:
    """What stands for the metaclass of the code's classes. Raises: TypeError: it is more than a plain class."""
    if bases or any(key.startswith("__") and key not in _CLASS_NAMES for key in namespace):
        raise TypeError("classes are plain here")
    made = type(name, (), dict(namespace))
    _OWN_CLASSES.add(made)
    return made


def _apply(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


def _same(value: Any) -> Any:
    return value


def _import(
    name: str,
    _globals: Mapping[str, Any] | None = None,
    _locals: Mapping[str, Any] | None = None,
    fromlist: Iterable[str] | None = None,
    level: int = 0,
) -> Any:
    """A module's face.

    C code calls this too, with an empty list for `fromlist` (source gives None or a tuple): strptime for _strptime,
    a pattern's `sub` for re. It drops what it gets and takes the module from sys.modules itself.

    Raises: ImportError: no such face, or no such name on it.
    """
    if type(fromlist) is list:
        return None
    face = None if level else FACES.get(name)
    if face is None:
        raise ImportError(f"{name[:50]!r} cannot be imported here; available: {', '.join(FACES)}")
    for wanted in fromlist or ():
        if wanted.startswith("_") or not hasattr(face, wanted):
            raise ImportError(f"{name} has no {wanted[:50]!r} here")
    return face


# --------------------------------------------------------------------------------------------------------- globals

_WITHHELD: Final = """
    BaseException GeneratorExit KeyboardInterrupt SystemExit _getattr_ delattr id setattr
"""
"""Of RestrictedPython's builtins: what catches or imitates the time limit, writes past the guards, tells addresses."""

_MORE: Final = """
    all any ascii bin bytes dict enumerate filter format frozenset iter list map max min next reversed set sorted sum
    tuple zip StopAsyncIteration TimeoutError RecursionError UnicodeError
"""

_BUILTINS: Final[Mapping[str, Any]] = {
    **{name: value for name, value in safe_builtins.items() if name not in _WITHHELD.split()},
    **{name: getattr(builtins, name) for name in _MORE.split()},
    "getattr": _getattr,
    "hasattr": _hasattr,
    "type": _type,
    "__import__": _import,
}

_GUARDS: Final[Mapping[str, Any]] = {
    "__name__": "sandbox",
    "_getattr_": _getattr,
    "_getitem_": operator.getitem,
    "_getiter_": _same,
    "_iter_unpack_sequence_": guarded_iter_unpack_sequence,
    "_unpack_sequence_": guarded_unpack_sequence,
    "_write_": _write,
    "_inplacevar_": _inplace_variable,
    "_inplaceitem_": _inplace_item,
    "_inplaceattr_": _inplace_attribute,
    "__metaclass__": _make_class,
    "_apply_": _apply,
}


class Printed:
    """What the code printed: one text for all its functions, cut at `max_bytes` bytes of UTF-8.

    (RestrictedPython's own collector is one per function and has no bound.)
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._left = max_bytes
        self._pieces: list[str] = []
        self._beyond = ""
        """What did not fit: its first two characters tell whether it is more than the end of a line."""

    def __call__(self, _: object) -> Printed:
        """The collector for another function of the code: the same."""
        return self

    def _call_print(
        self, *values: Any, sep: str | None = " ", end: str | None = "\n", file: Any = None, flush: bool = False
    ) -> None:
        del flush  # there is nothing to flush
        if file is not None:
            raise TypeError("print(file=...) is not available here")
        sep, end = " " if sep is None else sep, "\n" if end is None else end
        for number, value in enumerate(values):
            if number:
                self._add(sep)
            self._add(str(value))
        self._add(end)

    def _add(self, text: str) -> None:
        if len(self._beyond) > 1:
            return
        data = text[: self._left + 1].encode(errors="replace")  # half a surrogate pair fits in no answer
        kept = data[: self._left].decode(errors="ignore")
        self._pieces.append(kept)
        self._beyond += text[len(kept) : len(kept) + 2]
        self._left = 0 if self._beyond else self._left - len(data)

    def text(self) -> str:
        """All of it, with a mark at the end where it was cut: where more than the last line's end did not fit."""
        mark = "" if self._beyond in ("", "\n") else f"\n[cut at {self._max_bytes:,} bytes]"
        return "".join(self._pieces) + mark


def make_globals(names: Mapping[str, Any], printed: Printed) -> dict[str, Any]:
    """The global names of one run: builtins, guards, `result` = None, and `names` (functions and variables)."""
    return {
        "__builtins__": dict(_BUILTINS),
        **_GUARDS,
        "_print_": printed,
        "result": None,
        **names,
    }
