"""Modules as sandboxed code sees them: an object with the named functions and nothing behind it.

Above lies the policy, whose import gives these out; below the standard library. A module object is never handed over:
from `json.codecs.builtins` or `re.enum.sys` every other module is three dots away. Nor does a face have a `__name__`:
where `from x import y` finds no `y`, the interpreter would look for a module called `x.y` and hand over that.
"""

from __future__ import annotations

import collections
import datetime
import functools
import itertools
import json
import math
import re
import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final


class Face:
    """A module's safe part; its members are its attributes."""

    def __init__(self, title: str, members: Mapping[str, Any]) -> None:
        self.__dict__.update(members)
        self.__dict__["_title"] = title

    def __repr__(self) -> str:
        return f"<module {self.__dict__['_title']!r}>"


def _loads(
    s: str | bytes,
    *,
    object_hook: Callable[[dict[str, Any]], Any] | None = None,
    parse_float: Callable[[str], Any] | None = None,
    parse_int: Callable[[str], Any] | None = None,
) -> Any:
    """`json.loads` without a decoder class."""
    return json.loads(s, object_hook=object_hook, parse_float=parse_float, parse_int=parse_int)


def _dumps(
    obj: Any,
    *,
    skipkeys: bool = False,
    ensure_ascii: bool = True,
    allow_nan: bool = True,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    default: Callable[[Any], Any] | None = None,
    sort_keys: bool = False,
) -> str:
    """`json.dumps` without an encoder class."""
    return json.dumps(
        obj,
        skipkeys=skipkeys,
        ensure_ascii=ensure_ascii,
        allow_nan=allow_nan,
        indent=indent,
        separators=separators,
        default=default,
        sort_keys=sort_keys,
    )


def _namedtuple(
    typename: str, field_names: str | Iterable[str], *, rename: bool = False, defaults: Iterable[Any] | None = None
) -> type:
    """`collections.namedtuple` of plain ASCII names: it makes source text of them, and others are read differently."""
    fields = field_names.replace(",", " ").split() if isinstance(field_names, str) else list(map(str, field_names))
    if not all(name.isascii() for name in (str(typename), *fields)):
        raise ValueError("names of a named tuple and its fields are ASCII here")
    make: Callable[..., type] = collections.namedtuple
    return make(typename, fields, rename=rename, defaults=defaults, module="sandbox")


def _wraps(_: Any) -> Callable[[Any], Any]:
    """`functools.wraps` for code that sees neither name nor text of a function: the real one sets any attribute."""
    return lambda function: function


def _named(module: Any, names: str) -> dict[str, Any]:
    return {name: getattr(module, name) for name in names.split()}


_RE_FUNCTIONS: Final = "compile escape findall finditer fullmatch match search split sub subn error"
_RE_FLAGS: Final = "A ASCII I IGNORECASE M MULTILINE S DOTALL U UNICODE X VERBOSE"
_STATISTICS: Final = """
    correlation covariance fmean geometric_mean harmonic_mean linear_regression mean median median_grouped median_high
    median_low mode multimode pstdev pvariance quantiles stdev variance StatisticsError
"""
_ITERTOOLS: Final = """
    accumulate chain combinations combinations_with_replacement compress count cycle dropwhile filterfalse groupby
    islice pairwise permutations product repeat starmap takewhile tee zip_longest
"""

FACES: Final[Mapping[str, Face]] = {
    title: Face(title, members)
    for title, members in {
        "json": {"loads": _loads, "dumps": _dumps, "JSONDecodeError": json.JSONDecodeError},
        # Flags as plain integers: from a member of an enumeration its other members can be reached.
        "re": {
            **_named(re, _RE_FUNCTIONS),
            **{name: int(flag) for name, flag in _named(re, _RE_FLAGS).items()},
        },
        "math": {name: value for name, value in vars(math).items() if not name.startswith("_")},
        "statistics": _named(statistics, _STATISTICS),
        "datetime": _named(datetime, "MAXYEAR MINYEAR UTC date datetime time timedelta timezone"),
        "collections": {**_named(collections, "Counter OrderedDict defaultdict deque"), "namedtuple": _namedtuple},
        "itertools": _named(itertools, _ITERTOOLS),
        "functools": {**_named(functools, "cache cmp_to_key lru_cache partial reduce"), "wraps": _wraps},
    }.items()
}
"""Module name to its face: all that can be imported."""
