"""Numbers, times and dates as people write them, brought to one form each: "5 pm" and "17:00", "1 GB" and "1024 MB".

Above it lies `rules.claims`; below it nothing. A quantity is written back into the text as one token that begins with
"@", so that what follows can tell it from a word: "@17:00", "@2024-06-03", "@--06-03", "@60:s", "@5".
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH: Final = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_DAY: Final = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
_YEAR: Final = r"(?:,?\s+(?:of\s+)?(?P<year>(?:19|20)\d\d)\b)?"
_ISO_DATE: Final = re.compile(r"\b(?P<year>(?:19|20)\d\d)-(?P<month>[01]\d)-(?P<day>[0-3]\d)(?:t[\d:.]+z?)?\b")
_DAY_MONTH: Final = re.compile(rf"\b{_DAY}\s+(?:of\s+)?{_MONTH}{_YEAR}")
_MONTH_DAY: Final = re.compile(rf"\b{_MONTH}\s+(?:the\s+)?{_DAY}(?![\d:.]|\s*(?:am|pm)\b){_YEAR}")

_TIME: Final = re.compile(
    r"(?<![\w.:@$-])(?:(?P<hour>[01]?\d|2[0-3])(?::(?P<minute>[0-5]\d)(?::[0-5]\d)?)?\s?(?P<half>[ap])\.?m\b\.?"
    r"|(?P<hour24>[01]?\d|2[0-3]):(?P<minute24>[0-5]\d)(?::[0-5]\d)?(?:\s?h\b)?(?![\w:])"
    r"|(?P<sharp>1?\d)\s?o'?clock\b)"
)

_WORDS: Final = {
    "zero": 0,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "fifteen": 15,
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "ninety": 90,
    "hundred": 100,
    "dozen": 12,
}
_WORD_NUMBER: Final = re.compile(
    rf"\b(?<!no )(?<!this )(?<!that )(?:an? (?=hundred|dozen))?({'|'.join(_WORDS)})\b(?! of\b| day\b(?!s)| another\b)"
)
_NUMBER: Final = re.compile(
    r"(?<![\w.@:-])(?:version\s|v(?=\d))?(?P<money>[$€£]\s?)?(?P<digits>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)*)"
    r"(?P<scale>k\b|\s?thousand\b|\s?million\b|\s?mio\b)?"
    r"(?:\s?(?P<unit>%|percent\b|per cent\b|dollars?\b|usd\b|euros?\b|eur\b|€|pounds?\b|gbp\b"
    r"|milliseconds?\b|ms\b|seconds?\b|secs?\b|s\b|minutes?\b|mins?\b|hours?\b|hrs?\b|h\b|days?\b|weeks?\b"
    r"|kb\b|mb\b|gb\b|tb\b|km\b|kilomet(?:er|re)s?\b|met(?:er|re)s?\b|m\b|cm\b|kg\b|kilos?\b|kilograms?\b|grams?\b|g\b))?"
    r"(?:(?:st|nd|rd|th)\b)?(?![\w@])(?:\s?x\b)?"
)
_UNITS: Final[dict[str, tuple[float, str]]] = {
    "%": (1, "%"),
    "percent": (1, "%"),
    "per cent": (1, "%"),
    "$": (1, "usd"),
    "dollar": (1, "usd"),
    "usd": (1, "usd"),
    "€": (1, "eur"),
    "euro": (1, "eur"),
    "eur": (1, "eur"),
    "£": (1, "gbp"),
    "pound": (1, "gbp"),
    "gbp": (1, "gbp"),
    "millisecond": (0.001, "s"),
    "ms": (0.001, "s"),
    "second": (1, "s"),
    "sec": (1, "s"),
    "s": (1, "s"),
    "minute": (60, "s"),
    "min": (60, "s"),
    "hour": (3600, "s"),
    "hr": (3600, "s"),
    "h": (3600, "s"),
    "day": (86_400, "s"),
    "week": (604_800, "s"),
    "kb": (1 / 1024, "mb"),
    "mb": (1, "mb"),
    "gb": (1024, "mb"),
    "tb": (1_048_576, "mb"),
    "km": (1000, "m"),
    "kilometer": (1000, "m"),
    "kilometre": (1000, "m"),
    "meter": (1, "m"),
    "metre": (1, "m"),
    "m": (1, "m"),
    "cm": (0.01, "m"),
    "kg": (1000, "g"),
    "kilo": (1000, "g"),
    "kilogram": (1000, "g"),
    "gram": (1, "g"),
    "g": (1, "g"),
}
_SCALES: Final = {"k": 1000, "thousand": 1000, "million": 1_000_000, "mio": 1_000_000}


def with_quantities(text: str) -> str:
    """A text in small letters with each number, time of day and date in one form, behind "@".

    Durations are in seconds, sizes in MB, lengths in metres, weights in grams, sums in their currency; a number without
    such a unit stands alone, and the word behind it stays a word. A date without a year has "-" in its place.
    """
    if not _DIGIT.search(text) and not _SPELLED.search(text):
        return text
    text = _ISO_DATE.sub(_date, text)
    if _ANY_MONTH.search(text):
        text = _DAY_MONTH.sub(_date, text)
        text = _MONTH_DAY.sub(_date, text)
    if "noon" in text:
        text = _NOON.sub("12:00", text)
    if "midnight" in text:
        text = _MIDNIGHT.sub("00:00", text)
    text = _TIME.sub(_time, text)
    text = _WORD_NUMBER.sub(lambda match: str(_WORDS[match[1]]), text)
    return _NUMBER.sub(_number, text)


_NOON: Final = re.compile(r"\b(?:12 )?noon\b")
_MIDNIGHT: Final = re.compile(r"\b(?:12 )?midnight\b")
_DIGIT: Final = re.compile(r"\d")
_ANY_MONTH: Final = re.compile("|".join(_MONTHS))
_SPELLED: Final = re.compile(rf"\b(?:{'|'.join(_WORDS)}|noon|midnight)\b")


def _date(match: re.Match[str]) -> str:
    month = match["month"]
    number = int(month) if month.isdigit() else _MONTHS.index(month[:3]) + 1
    return f"@{match['year'] or '-'}-{number:02}-{int(match['day']):02}"


def _time(match: re.Match[str]) -> str:
    if match["half"]:
        hour = int(match["hour"]) % 12 + (12 if match["half"] == "p" else 0)
        return f"@{hour:02}:{match['minute'] or '00'}"
    if match["sharp"]:
        return f"@{int(match['sharp']):02}:00"
    return f"@{int(match['hour24']):02}:{match['minute24']}"


def _number(match: re.Match[str]) -> str:
    digits = match["digits"].replace(",", "") if "," in match["digits"] else match["digits"]
    unit = (match["unit"] or match["money"] or "").strip()
    scale = _SCALES.get((match["scale"] or "").strip(), 1)
    if scale == 1 and not unit:
        return f"@{digits}"  # as written: 3.10 is another version than 3.1
    try:
        amount = float(digits) * scale
    except ValueError:
        return f"@{digits} {unit}"
    factor, name = _UNITS.get(unit) or _UNITS.get(unit.removesuffix("s")) or (1, "")
    return f"@{amount * factor:.10g}" + (f":{name}" if name else "")


@lru_cache(maxsize=16_384)
def kind_of(quantity: str) -> str:
    """What a quantity measures: "date", "time", the name of its unit, or "number"."""
    if re.match(r"@(?:\d{4}|-)-\d\d-\d\d", quantity):
        return "date"
    if re.fullmatch(r"@\d\d:\d\d", quantity):
        return "time"
    _, _, unit = quantity.partition(":")
    return unit or "number"


def is_same(one: str, other: str) -> bool:
    """Whether two quantities are equal; a date without a year equals that day of any year."""
    if one == other:
        return True
    if kind_of(one) == kind_of(other) == "date":
        return one[-6:] == other[-6:] and "@-" in (one[:2], other[:2])
    return False


def spoken(quantity: str) -> str:
    """A quantity in a sentence: "@604800:s" is "7 days", "@--06-03" is "06-03"."""
    kind = kind_of(quantity)
    if kind == "date":
        return quantity[1:].removeprefix("--")
    if kind in {"time", "number"}:
        return quantity[1:]
    amount, unit = float(quantity[1:].partition(":")[0]), kind
    if unit == "s":
        size, unit = next((pair for pair in _LONGER if amount >= pair[0] and amount % pair[0] == 0), (1, "seconds"))
        amount /= size
    return f"{amount:g}{'' if unit == '%' else ' '}{unit}"


_LONGER: Final = ((86_400, "days"), (3600, "hours"), (60, "minutes"))
