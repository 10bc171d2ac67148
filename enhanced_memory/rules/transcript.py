"""The layout of a conversation: who says what, when, and where in the text, in whatever form the text writes it.

Above it lies `rules.sentences`, which cuts what is said into sentences; below it `rules.words`. Understood are labels
at the head of a line ("Ann: hi", "[10:31] Bob: hi", "**Ann:** hi", "<bob> hi", "Ann Lee (PM): hi"), headings ("###
User", "Bob 10:31 AM"), dates on lines of their own or before a label, and JSON messages with a role and a content.
What nobody says is left out: code, quoted lines, markup, and everything between <private> tags.

The text is never shortened on the way: what is hidden or taken out is overwritten by marks of the same length, so
that every offset found later is an offset into the text as it was given. Everything runs in time linear in the text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final, NamedTuple

from enhanced_memory.rules.words import word_set

HIDDEN: Final = "\ufdd0"
"""Stands for each character of a private passage; Unicode keeps it free of any other meaning."""

FILLER: Final = "\ufdd1"
"""Stands for characters that only the writing needed, such as a backslash in JSON; it is left out of what is read."""

_LONGEST_NAME: Final = 42
"""Characters of a name of one word, the colon after it and what follows that, at most."""

_LABEL_REACH: Final = 160
"""Characters at the head of a line in which a date and a label are looked for."""

_HEADING_LINE: Final = 80
"""Longest line, in characters, that may be a heading with a speaker's name."""

_DATE_LINE: Final = 60
"""Longest line, in characters, that may be nothing but a date."""

_PRIVATE_TAG: Final = re.compile(
    rf"<{FILLER}*+\s*+(/?)\s*+private\b[^<>]*+>|&lt;\s*+(/?)\s*+private\b[^<>&]*+&gt;", re.IGNORECASE
)

_MONTH: Final = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_WEEKDAY: Final = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\b\.?,?\s)?"
_DATE: Final = (
    rf"(?P<date>\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}|\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2,4}}"
    rf"|{_WEEKDAY}\d{{1,2}}(?:st|nd|rd|th)?\s(?:of\s)?{_MONTH}(?:,?\s\d{{4}})?"
    rf"|{_WEEKDAY}{_MONTH}\s\d{{1,2}}(?:st|nd|rd|th)?\b(?:,?\s\d{{4}})?)"
)
_CLOCK: Final = r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,6})?)?(?:\s?[ap]\.?m\b\.?)?(?:z|\s?(?:utc|gmt)|[+-]\d\d:?\d\d)?"
_STAMP: Final = re.compile(
    rf"[\[(]?(?:{_CLOCK}(?:[\s,|-]{{1,3}}(?:on\s)?{_DATE})?|{_DATE.replace('?P<date>', '?P<day>')}"
    rf"(?:(?:t|[\s,|-]{{1,3}})(?:at\s)?{_CLOCK})?)[\])]?",
    re.IGNORECASE,
)
_DAY_NAME: Final = re.compile(
    "mon|tue|wed|thu|fri|sat|sun|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec", re.IGNORECASE
)
"""How a stamp begins that begins with a letter."""

_LEAD: Final = re.compile(r"[\s•·\u2013\u2014-]*+")
_BEFORE_DATE: Final = re.compile(
    r"[\s#*_=~\u2013\u2014|-]*+(?:(?:date|time|session(?:\s\d{1,4})?|day(?:\s\d{1,4})?)\b[\s:#,\u2013\u2014-]*)?", re.I
)
_NOT_LINE_END: Final = re.compile(r"[^\n]")
_NO_WORD: Final = re.compile(r"[\W_]*+$")
_DATE_HEADS: Final = frozenset("adfjmnostwADFJMNOSTW")
"""Letters with which a line that is a date may begin: those of months, weekdays, "date", "session" and "time"."""

_NAME: Final = r"[^\W\d_][\w'\u2019.-]{0,39}"
_LABEL: Final = re.compile(
    rf"(?P<head>#{{1,6}}\s)?(?P<mark>[*_]{{0,3}})@?(?P<who>{_NAME}(?:\s(?:[^\Wa-z_][\w'\u2019.-]{{0,39}}|d[aeiu]|de[lnr]|l[ae]|v[ao]n|bin|al))"
    r"{0,3})(?:\s?[\[(][^\])\n]{1,40}[\])])?[*_]{0,3}\s?[:\uff1a][*_]{0,3}(?=\s|$)"
)
_LABEL_SIGN: Final = re.compile("[:\uff1a>#*]")
_CHAT_NICK: Final = re.compile(rf"<[@+~&% ]?(?P<who>{_NAME}(?:\s{_NAME}){{0,2}})>(?=\s)")
_HEADING: Final = re.compile(
    rf"(?:#{{1,6}}\s[*_]{{0,3}}|[*_]{{1,3}}|<\|[a-z_]{{1,20}}\|>)(?P<who>{_NAME})[*_]{{0,3}}:?$"
)
_NAME_AND_TIME: Final = re.compile(
    rf"(?P<who>{_NAME}(?:\s{_NAME}){{0,2}})[\s\u2013\u2014|-]++(?:(?:today|yesterday)\sat\s)?(?={_STAMP.pattern}$)",
    re.IGNORECASE,
)

USERS: Final = frozenset({"user", "human", "me", "customer", "client"})
"""Roles of those whom an assistant serves."""

ASSISTANTS: Final = word_set(
    "agent ai assistant bot chatgpt claude codex copilot cursor function gemini gpt llm model support system tool"
)
"""Roles and names of those who serve, and of programs."""

_ROLES: Final = USERS | ASSISTANTS
_HEADINGS: Final = word_set(
    """action agenda answer background bug caution caveat conclusion constraint context date decision default edit error
    example fact feature feedback fix fyi goal hint important info input issue link nb next note notes option output
    preference problem ps question re reason reminder requirement result rule source spec status step subject summary
    task time tip title tldr todo topic update usage warning why"""
)
"""Words that head a line as a label does, and name nobody."""

_FENCED: Final = re.compile(
    r"```.*?(?:```|(?=^(?:user|human|assistant)\s?:)|\Z)", re.DOTALL | re.MULTILINE | re.IGNORECASE
)
_CODE_LINE: Final = re.compile(
    r"""\s*+(?:[$%]\s\S|>|\w*(?:Error|Exception|Warning):\s|(?:\[?(?:DEBUG|INFO|WARN|WARNING|ERROR|FATAL)\b)|[-+]{3}\s|@@\s|[+-](?=[^\W\d])|at\s[\w.$<>]{1,80}\(|Traceback\s\(|File\s"|\#include|\#!/
    |import\s[\w.]{1,60}(?:\sas\s\w{1,40}|\sfrom\s.{1,80})?;?$|from\s[\w.]{1,60}\simport\s|package\s[\w.]{1,60};?$
    |(?:def|class|func|fn|function)\s\w{1,60}\s?[(:{<]|(?:const|let|var)\s\w{1,60}\s?[:=]|return\s.{0,200};$
    |(?:export|public|private|static)\s.{0,200}[({;]$|@[\w.]{1,40}(?:\(|$)|</?[a-z!][^<>]{0,250}>|[{}\[\]();,]+$)""",
    re.VERBOSE,
)
_CODE_HEAD: Final = re.compile(
    r"""\s*+(?:[^\w\s]|(?:DEBUG|INFO|WARN|WARNING|ERROR|FATAL|Traceback|File|at|import|from|package|def|class|func|fn
    |function|const|let|var|return|export|public|private|static)\b|\w++:)""",
    re.VERBOSE,
)
"""How every line of code begins that _CODE_LINE knows."""

_SIGNS: Final = re.compile(r"[{}\[\]<>=;|\\$^]|::|->|\w\(")
_SIGN: Final = re.compile(r"[{}\[\]<>=;|\\$^:(]")
"""What is in every sign of code."""

_CODE_REACH: Final = 300
"""Characters of a line by which it is told whether it is code."""

_SIGNS_SHARE: Final = 8
"""A line with more than one sign of code in so many characters is code."""

_JSON_START: Final = re.compile(r"\s*+(?:\[\s*+)?\{\s*+\"")
_JSON_TOKEN: Final = re.compile(
    r'[{}]|"(?P<key>role|speaker|author|sender|from|name|type|content|text|message|value|body)"\s*+:\s*+"'
    r'(?P<string>(?:[^"\\]|\\.)*+)"|"(?:[^"\\]|\\.)*+(?:"|\Z)',
    re.DOTALL,
)
_JSON_ESCAPE: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.", re.DOTALL
)
_JSON_ESCAPES: Final = {"n": "\n", "r": " ", "t": " ", "b": " ", "f": " "}
_WHO_KEYS: Final = ("role", "speaker", "author", "sender", "from", "name")
_TYPES_OF_SPEAKERS: Final = {who: who for who in ("user", "assistant", "human")}
_SPOKEN_TYPES: Final = frozenset({"", "text", "message", "input_text", "output_text", *_TYPES_OF_SPEAKERS})


@dataclass(slots=True)
class Utterance:
    """What one speaker says in one go.

    speaker, date: as the text writes them, None where it does not; times of day alone are not kept. blocks: start and
    end offsets of the passages said, in order; a passage is a line, or the lines of one wrapped paragraph.
    """

    speaker: str | None
    date: str | None
    blocks: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Transcript:
    """A conversation laid out. `masked` has the length of the text it was made of, with HIDDEN and FILLER in it."""

    masked: str
    utterances: list[Utterance]


def read_transcript(text: str) -> Transcript:
    """The utterances of a conversation in order; never raises.

    Without any label everything is one utterance of nobody known. A private passage left open hides everything to the
    end, one closed but never opened everything from the beginning.
    """
    spoken = _spoken_json(text) if _JSON_START.match(text) else []
    if spoken:
        masked = _without_code(_without_private(_unescaped(text, spoken)))
        said = [Utterance(speaker, None) for speaker, _, _ in spoken]
        for utterance, (_, start, end) in zip(said, spoken, strict=True):
            for first, line in _lines(masked, start, end):
                _add_line(utterance, masked, first, line)
        return Transcript(masked, said)
    masked = _without_code(_without_private(text))
    return Transcript(masked, list(_labelled(masked)))


def _without_private(text: str) -> str:
    """The text with every private passage, its tags included, overwritten by HIDDEN."""
    if "<" not in text and "&" not in text:
        return text
    passages: list[tuple[int, int]] = []
    depth = 0
    begin = 0
    for tag in _PRIVATE_TAG.finditer(text):
        if tag[1] or tag[2]:
            if depth == 0:
                passages = [(0, tag.end())]
            elif depth == 1:
                passages.append((begin, tag.end()))
            depth = max(0, depth - 1)
        elif not tag.group().endswith(("/>", "/&gt;")):
            if depth == 0:
                begin = tag.start()
            depth += 1
    if depth:
        passages.append((begin, len(text)))
    parts: list[str] = []
    done = 0
    for begin, end in passages:
        parts += (text[done:begin], HIDDEN * (end - begin))
        done = end
    return "".join((*parts, text[done:]))


def _lines(text: str, start: int, end: int) -> list[tuple[int, str]]:
    """Start offsets and contents of the lines between two places that are not blank, without the line ends."""
    found: list[tuple[int, str]] = []
    for line in text[start:end].split("\n"):
        if line and not line.isspace():
            found.append((start, line))
        start += len(line) + 1
    return found


def _without_code(text: str) -> str:
    """The text with every fenced block of code overwritten by HIDDEN; one left open ends where the next role speaks."""
    return _FENCED.sub(lambda block: _NOT_LINE_END.sub(HIDDEN, block.group()), text) if "```" in text else text


def _labelled(text: str) -> Iterator[Utterance]:
    """The utterances of a text in lines, by their labels and headings."""
    lines = _lines(text, 0, len(text))
    labels = _labels(lines)
    times = Counter(label.who for label in labels if label)
    date: str | None = None
    current = Utterance(None, None)
    for (start, line), label in zip(lines, labels, strict=True):
        if label and (label.is_sure or _is_name(label.who, times[label.who])):
            if current.blocks:
                yield current
            date = label.date or date
            current = Utterance(label.who, date)
            _add_line(current, text, start + label.length, line[label.length :])
            continue
        if len(line) <= _DATE_LINE and (day := _date_line(line)):
            if current.blocks:
                yield current
            date = day
            current = Utterance(current.speaker, date)
            continue
        _add_line(current, text, start, line)
    if current.blocks:
        yield current


def _labels(lines: list[tuple[int, str]]) -> list[_Label | None]:
    """The label of each line, if it has one; a name and a colon that headed a line before are not looked at again."""
    labels: list[_Label | None] = []
    known: dict[str, _Label | None] = {}
    for _, line in lines:
        name, colon, rest = line[:_LONGEST_NAME].partition(":")
        if not (colon and name.isalpha() and rest[:1].isspace()):
            labels.append(_label(line[:_LABEL_REACH], len(line)))
            continue
        if name not in known:
            known[name] = _label(line[:_LABEL_REACH], len(line))
        labels.append(known[name])
    return labels


class _Label(NamedTuple):
    """A label at the head of a line; `is_sure` where nothing else is written this way, whatever the name."""

    who: str
    date: str | None
    length: int
    is_sure: bool


def _label(head: str, length: int) -> _Label | None:
    """The label a line begins with; `head` is its beginning, `length` that of the whole line."""
    if _LABEL_SIGN.search(head) is None:
        return None
    at = _after_lead(head, 0)
    date = None
    stamp = _STAMP.match(head, at) if not head[at : at + 1].isalpha() or _DAY_NAME.match(head, at) else None
    if stamp:
        date = stamp["date"] or stamp["day"]
        at = _after_lead(head, stamp.end())
    nick = _CHAT_NICK.match(head, at) if head.startswith("<", at) else None
    if nick:
        return _Label(nick["who"], date, nick.end(), True)
    if named := _LABEL.match(head, at):
        who = named["who"]
        can_be_code = " " in who or who.isupper() or who.endswith(("Error", "Exception", "Warning"))
        if who.lower() in _HEADINGS or (can_be_code and _CODE_LINE.match(head, at)):
            return None
        return _Label(named["who"], date, named.end(), stamp is not None or bool(named["mark"]))
    if length > _HEADING_LINE:
        return None
    if timed := _NAME_AND_TIME.match(head, at):
        when = _STAMP.match(head, timed.end())
        return _Label(timed["who"], when and (when["date"] or when["day"]), length, True)
    heading = _HEADING.match(head, at)
    if heading and heading["who"].lower() in _ROLES:
        return _Label(heading["who"], date, length, True)
    return None


def _after_lead(head: str, at: int) -> int:
    lead = _LEAD.match(head, at)
    return lead.end() if lead else at


def _is_name(who: str, times: int) -> bool:
    """Whether any word before a colon names a speaker: a role, a name in capitals, or a word that heads several
    lines."""
    return who.lower() in _ROLES or who[0].isupper() or times > 1


def _date_line(line: str) -> str | None:
    """The date of a line that holds nothing else."""
    if line[0].isascii() and line[0].isalpha() and line[0] not in _DATE_HEADS:
        return None
    before = _BEFORE_DATE.match(line)
    stamp = _STAMP.match(line, before.end() if before else 0)
    return (stamp["date"] or stamp["day"]) if stamp and _NO_WORD.match(line, stamp.end()) else None


def _add_line(utterance: Utterance, text: str, start: int, line: str) -> None:
    """Add a line to what is said, unless it is code or quoted; to the line before where a paragraph was wrapped."""
    if not line or line.isspace() or _is_code(line):
        return
    blocks = utterance.blocks
    if blocks:
        first, last = blocks[-1]
        if last + 1 == start and last - first > 50 and text[last - 1] not in ".!?:;" and line.lstrip()[0].islower():
            blocks[-1] = (first, start + len(line))
            return
    blocks.append((start, start + len(line)))


def _is_code(line: str) -> bool:
    """Whether a line is code, markup, a quotation or a program's output: by how it begins, or by its share of signs."""
    head = line[:_CODE_REACH]
    if _CODE_HEAD.match(head) and _CODE_LINE.match(head.rstrip()):
        return True
    if _SIGN.search(head) is None:
        return False
    head = head.rstrip()
    return len(_SIGNS.findall(head)) * _SIGNS_SHARE > len(head)


def _spoken_json(text: str) -> list[tuple[str | None, int, int]]:
    """Speaker, start and end of the contents of JSON messages in order; empty when none has a speaker."""
    spoken: list[tuple[str | None, int, int]] = []
    open_objects: list[tuple[dict[str, str], list[tuple[str | None, int, int]]]] = []

    def close() -> None:
        keys, inner = open_objects.pop()
        if keys.get("type", "") in _SPOKEN_TYPES:
            who = next((keys[key] for key in _WHO_KEYS if key in keys), _TYPES_OF_SPEAKERS.get(keys.get("type", "")))
            outer = open_objects[-1][1] if open_objects else spoken
            outer += [(speaker or who, start, end) for speaker, start, end in inner]

    for token in _JSON_TOKEN.finditer(text):
        if token.group() == "{":
            open_objects.append(({}, []))
        elif not open_objects:
            continue
        elif token.group() == "}":
            close()
        elif token["key"] in _WHO_KEYS or token["key"] == "type":
            open_objects[-1][0].setdefault(token["key"], token["string"][:100])
        elif token["key"]:
            open_objects[-1][1].append((None, token.start("string"), token.end("string")))
    while open_objects:
        close()
    return sorted(spoken, key=itemgetter(1)) if any(speaker for speaker, _, _ in spoken) else []


def _unescaped(text: str, spoken: list[tuple[str | None, int, int]]) -> str:
    """The text with JSON's escapes in what is spoken read as what they mean, padded to their length with FILLER."""
    parts: list[str] = []
    done = 0
    for _, start, end in spoken:
        parts += (text[done:start], _JSON_ESCAPE.sub(_meaning, text[start:end]))
        done = end
    return "".join((*parts, text[done:]))


def _meaning(escape: re.Match[str]) -> str:
    written = escape.group()
    if len(written) == 12:
        high, low = int(written[2:6], 16), int(written[8:], 16)
        sign = chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
    elif len(written) == 6:
        sign = chr(int(written[2:], 16))
    else:
        sign = _JSON_ESCAPES.get(written[1], written[1])
    return sign.rjust(len(written), FILLER)
