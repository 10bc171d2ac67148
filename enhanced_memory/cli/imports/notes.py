"""Markdown notes in a folder: which files there are, what each is called, its front matter, and its blocks of text.

Above it lie the readers `markdown` and `basic_memory`; below it the source, markdown-it, which knows what is a list
and what is code, and PyYAML for the front matter. Links of the file system are not followed, so nothing outside the
folder is read.
"""

from __future__ import annotations

import itertools
import os
import posixpath
import re
import stat
import urllib.parse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from enhanced_memory.cli.imports.items import MOST_NAME, MOST_TYPE, Bad, instant, label, sound
from enhanced_memory.cli.imports.source import NOTE_SUFFIXES, Source

if TYPE_CHECKING:
    from markdown_it.token import Token

MOST_NOTE_BYTES: Final = 4 * 1024 * 1024
MOST_FRONT_BYTES: Final = 64 * 1024
"""A note, and the front matter at its head, may be this large."""

WIKI_LINK: Final = re.compile(r"\[\[([^\[\]\n]{1,500})\]\]")
_MARKDOWN_LINK: Final = re.compile(r"(?<!!)\[([^\[\]]{0,500})\]\(\s*<?([^()\s<>]{1,500})>?[^()]{0,200}\)")
_FRONT: Final = re.compile(r"---[ \t]*\r?\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_EXTERNAL: Final = re.compile(r"[a-z][a-z0-9+.-]*:|//|#", re.IGNORECASE)


@dataclass(slots=True)
class Block:
    """A paragraph, a point of a list, a row of a table, a block of code, or a heading with nothing below it.

    section: the heading above it, empty where that is a title. line: where it begins.
    """

    kind: str
    text: str
    section: str
    line: int


@dataclass(slots=True)
class Note:
    """A note. path: below the folder, with `/`. front: what stands in its front matter. line: the body's first one."""

    path: str
    title: str
    front: dict[str, Any]
    body: str
    line: int
    size: int

    @property
    def kind(self) -> str:
        """Its type, `note` where it names none."""
        given = self.front.get("type")
        return label(given, MOST_TYPE) if isinstance(given, str) and given.strip() else "note"

    @property
    def tags(self) -> list[str]:
        """Its tags, however they are written."""
        given = self.front.get("tags")
        several = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else []
        return [found for tag in several if (found := label(str(tag), MOST_TYPE).lstrip("#"))]

    @property
    def written(self) -> str | None:
        """When it was written, as far as it says so."""
        return next(filter(None, (instant(self.front.get(key)) for key in ("created", "date", "modified"))), None)


@dataclass
class Folder:
    """The notes of a source, and how they are called: two of one title are told apart by their paths.

    bad: those that cannot be read. A note's text is read again when its turn comes, so a folder may be large.
    """

    source: Source
    bad: list[Bad] = field(default_factory=list)
    _root: Path = field(init=False)
    _names: dict[str, str] = field(default_factory=dict, init=False)
    _known: dict[str, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        single = self.source.folder is None
        self._root = Path(self.source.path).parent if single else Path(self.source.path)
        paths = [Path(self.source.path).name] if single else sorted(_note_paths(self._root))
        self.source.total = sum(os.path.getsize(self._root / path) for path in paths)
        taken: set[str] = set()
        for path in paths:
            note = _read(self._root, path)
            if isinstance(note, Bad):
                self.bad.append(note)
                continue
            name = note.title
            if name in taken:
                name = label(f"{note.title[: MOST_NAME // 2]} ({_stem(path)})", MOST_NAME)
            taken.add(name)
            self._names[path] = name
            permalink = note.front.get("permalink")
            for alias in (_stem(path), posixpath.basename(_stem(path)), note.title, permalink):
                if isinstance(alias, str):
                    self._known.setdefault(_folded(alias), name)

    def notes(self) -> Iterator[tuple[str, Note] | Bad]:
        """Each note with the name of its entity; one that vanished or changed since is told as bad."""
        for path, name in self._names.items():
            note = _read(self._root, path)
            yield note if isinstance(note, Bad) else (name, note)

    def named(self, target: str) -> str:
        """The entity that a [[wiki link]] means: a note by title, path or permalink, else whatever has that name."""
        wanted = target.partition("|")[0].partition("#")[0].strip()
        return self._known.get(_folded(wanted)) or label(wanted, MOST_NAME)

    def linked(self, note: Note, target: str) -> str | None:
        """The entity of the note that a relative link in `note` leads to; None for any other link."""
        if _EXTERNAL.match(target):
            return None
        inside = posixpath.join(posixpath.dirname(note.path), urllib.parse.unquote(target.partition("#")[0]))
        return self._names.get(posixpath.normpath(inside))


def first_notes(root: Path, most: int) -> Iterator[Note]:
    """Some notes of a folder, those that can be read."""
    for path in itertools.islice(_note_paths(root), most):
        note = _read(root, path)
        if isinstance(note, Note):
            yield note


def _note_paths(root: Path) -> Iterator[str]:
    """The notes below a folder; hidden ones, links of the file system, and pipes and devices are left out."""
    for folder, inside, files in os.walk(root):
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        for name in files:
            path = os.path.join(folder, name)
            if name.lower().endswith(NOTE_SUFFIXES) and not name.startswith(".") and _is_plain(path):
                yield os.path.relpath(path, root).replace(os.sep, "/")


def _is_plain(path: str) -> bool:
    """Whether this is a file itself; a pipe would be waited for for ever."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:  # it went meanwhile
        return False


def _read(root: Path, path: str) -> Note | Bad:
    """One note, its front matter apart."""
    try:
        with open(root / path, "rb") as stream:
            raw = stream.read(MOST_NOTE_BYTES + 1)
    except OSError as error:
        return Bad(path, error.strerror or str(error))
    if len(raw) > MOST_NOTE_BYTES:
        return Bad(path, f"is larger than {MOST_NOTE_BYTES // 1024**2} MiB", size=len(raw))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Bad(path, "is not UTF-8", size=len(raw))
    front: dict[str, Any] = {}
    line = 1
    if match := _FRONT.match(text, 0, MOST_FRONT_BYTES):
        found = _front(match[1])
        if isinstance(found, str):
            return Bad(f"{path}:1", f"its front matter is no YAML: {found}", size=len(raw))
        front, text, line = found, text[match.end() :], 1 + match[0].count("\n")
    title = label(str(front.get("title") or ""), MOST_NAME) or label(posixpath.basename(_stem(path)), MOST_NAME)
    return Note(path, title or "note", front, text, line, len(raw))


def _front(text: str) -> dict[str, Any] | str:
    """What front matter says, or what is wrong with it."""
    import yaml

    try:
        found = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 (both are safe)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return str(error).split("\n")[0][:200]
    if not isinstance(found, dict):
        return {}
    return {str(key): value.isoformat() if hasattr(value, "isoformat") else value for key, value in found.items()}


def _stem(path: str) -> str:
    return posixpath.splitext(path)[0]


def _folded(name: str) -> str:
    """A name as links may spell it: case, spaces and hyphens do not count, nor does the suffix."""
    return re.sub(r"[\s_-]+", "-", name.removesuffix(".md").strip().casefold())


def blocks(note: Note) -> Iterator[Block]:
    """The blocks of a note in order; a heading of the first level is a title, and stands over no block."""
    section = ""
    heading: Block | None = None
    cells: list[str] = []
    in_list = row = 0
    kind = level = ""
    for token in _tokens(note.body):
        line = note.line + (token.map[0] if token.map else 0)
        match token.type:
            case "list_item_open" | "list_item_close":
                in_list += token.nesting
            case "heading_open" | "paragraph_open" | "th_open" | "td_open":
                kind, level = token.type.removesuffix("_open"), token.tag
            case "tr_close":
                yield Block("row", " | ".join(cells), section, row)
                cells = []
            case "tr_open":
                row = line
            case "fence" | "code_block" if token.content.strip():
                heading = None
                yield Block("code", sound(token.content.rstrip()), section, line)
            case "inline" if text := sound(" ".join(token.content.split())):
                if kind in ("th", "td"):
                    heading = None
                    cells.append(text)
                elif kind == "heading":
                    if heading is not None:
                        yield heading
                    heading = None
                    if level == "h1":
                        section = ""
                        if text.casefold() != note.title.casefold():
                            yield Block("heading", text, "", line)
                    else:
                        heading, section = Block("heading", text, "", line), plain(text)
                else:
                    heading = None
                    yield Block("point" if in_list else "paragraph", text, section, line)
    if heading is not None:
        yield heading


def _tokens(body: str) -> Iterable[Token]:
    from markdown_it import MarkdownIt

    global _parser
    if _parser is None:
        # Links and emphasis are looked for in the text itself, so the inline rules, which take most of the time, rest.
        _parser = MarkdownIt("commonmark").enable("table")
        _parser.core.ruler.enableOnly(["normalize", "block"])
    return _parser.parse(body)  # type: ignore[no-any-return]


_parser: Any = None


def plain(text: str) -> str:
    """`text` with links as the words they show."""
    text = WIKI_LINK.sub(lambda link: link[1].rpartition("|")[2], text)
    return _MARKDOWN_LINK.sub(lambda link: link[1] or link[2], text)


def targets(folder: Folder, note: Note, text: str) -> Iterator[str]:
    """The entities that the links in `text` lead to, wiki links and relative ones."""
    for link in WIKI_LINK.finditer(text):
        if name := folder.named(link[1]):
            yield name
    for link in _MARKDOWN_LINK.finditer(text):
        if found := folder.linked(note, link[2]):
            yield found
