"""Secrets in texts: API keys, tokens, private keys, passwords, and numbers of cards, accounts and persons.

Above it lies the extraction operation, which has them replaced before anything is stored; below it `rules.text` and
`rules.words`. A secret is known by its form (the prefixes that vendors give their keys, the check digits of a card or
an account, a private key's frame), by what is written before it ("my password is", `api_key =`, `user:...@host`), or by
being long and without any order. What is written before a secret stays, so that a memory still says that there is one.

Scanners for source code exist. The best known one that is a library reads line by line at some milliseconds a line,
does not say where in the line a secret stands, and knows no passwords in plain sentences and no card numbers.
"""

from __future__ import annotations

import math
import operator
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from enhanced_memory.rules.text import STOP_WORDS
from enhanced_memory.rules.words import word_set

_KEY: Final = "api key"
_TOKEN: Final = "token"  # noqa: S105
_PRIVATE_KEY: Final = "private key"
_CARD: Final = "card number"
_PASSWORD: Final = "password"  # noqa: S105
_ACCOUNT: Final = "bank account"
_PERSON: Final = "social security number"

_PASSES: Final = 8
"""How often a text is looked through while something is found: a secret may hide another that touches it."""

_RUN: Final = re.compile(r"(?<![A-Za-z0-9_])[A-Za-z0-9][\w.+/=~:-]{15,}")
"""Where a key or token may stand: sixteen signs without a space. All the forms below are that long."""

_KEY_FORMS: Final = re.compile(
    r"""(?<![A-Za-z0-9])(?:
      (?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Za-z0-9])            # Amazon
    | AIza[\w-]{35}|GOCSPX-[\w-]{24,}                               # Google
    | sk-(?=[\w-]{0,60}\d)[\w-]{20,}                                # OpenAI, Anthropic and others after them
    | (?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[\w+/=]{24,}  # Stripe
    | (?:gsk|r8|fw|tgp_v1|nvapi|pplx|xai|tvly|co|jina|phc|phx|re)[_-](?=[\w-]{0,60}\d)[\w-]{24,}
    | SG\.[\w-]{16,}\.[\w-]{16,}|key-[0-9a-f]{32}|[0-9a-f]{32}-us\d{1,2}   # SendGrid, Mailgun, Mailchimp
    | SK[0-9a-f]{32}                                                # Twilio
    | shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|sq0(?:atp|csp)-[\w-]{22,}  # Shopify, Square
    | lin_api_[A-Za-z0-9]{32,}|ntn_[A-Za-z0-9]{40,}|secret_[A-Za-z0-9]{40,}|pat[A-Za-z0-9]{14}\.[0-9a-f]{40,}
    | NRAK-[A-Z0-9]{27}|AGE-SECRET-KEY-1[A-Z0-9]{50,}|rzp_(?:live|test)_[A-Za-z0-9]{14}
    )""",
    re.VERBOSE,
)
_TOKEN_FORMS: Final = re.compile(
    r"""(?<![A-Za-z0-9])(?:
      gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{22,}|gl(?:pat|ptt|dt|rt|cbt|ft|soat)-[\w.-]{20,}   # GitHub, GitLab
    | xox[abceoprs]-[\w-]{10,}|xapp-\d-[\w-]{20,}|hooks\.slack\.com/services/[\w/]{20,}           # Slack
    | ya29\.[\w.-]{20,}|1//0[\w-]{30,}                                                            # Google
    | hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{50,}|rubygems_[0-9a-f]{40,}|dckr_pat_[\w-]{20,}
    | do[opr]_v1_[0-9a-f]{40,}|dapi[0-9a-f]{32}|hv[bsr]\.[\w-]{20,}|dp\.[a-z]{2,4}\.[A-Za-z0-9]{40,}
    | gl(?:c|sa)_[\w+/=]{30,}|sntry[su]_[\w+/=]{30,}|figd_[\w-]{30,}|sbp_[0-9a-f]{40}|lsv2_[a-z]{2}_\w{32,}
    | ATATT3[\w=-]{50,}|pscale_[a-z]{2,5}_[\w.-]{32,}|[A-Za-z0-9]{14}\.atlasv1\.[\w-]{60,}
    | \d{8,10}:AA[\w-]{33}|[MNO][\w-]{23,25}\.[\w-]{6}\.[\w-]{27,}|discord(?:app)?\.com/api/webhooks/\d+/[\w-]{20,}
    | eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*                                                             # JSON Web Token
    )""",
    re.VERBOSE,
)
_LOT: Final = re.compile(r"(?!sha\d|md5)[A-Za-z0-9+/_-]{32,}={0,2}")
_WORD_IN_LOT: Final = re.compile(r"[a-z]{7}|[A-Z]{7}")
_SIGNS_A_WORD: Final = 64
"""Signs for each of which one run of seven letters of a case may come about by chance."""

_ASSIGNED: Final = re.compile(r"(?:[A-Za-z][\w.-]{0,60}+[=:]{1,2}+)+(?=[A-Za-z0-9+/_-])")
"""What a run without order is called: "KEY=", "x.y:"."""

_JOINT: Final = re.compile("[+/_-]")
_DISORDER: Final = 4.2
"""Bits a sign above which a run of 32 signs or more is a key: words and names in camel case stay below 4, random ones
of that length reach 4.4 and more."""

_FRAME: Final = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_FRAME_END: Final = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_LONGEST_FRAME: Final = 20_000
"""Characters within which a private key ends: one of 16,384 bits takes 13,000."""

_KEY_LINES: Final = re.compile(r"(?:(?:\s|\\n)*+[A-Za-z0-9+/=]{16,})*+")

_CARD_DIGITS: Final = re.compile(
    r"[2-6](?<![\d+/_].)(?<!\d\..)"
    r"(?=(\d{13,15}|\d{3}([ .\u00a0\u202f\u2013-]|\s-\s)(?:\d{4}\2\d{4}\2\d{4}|\d{6}\2\d{4,5}))(?!\d))\d*"
)
"""Digits in the groups that cards have, which end with the first group: one card may begin within another's digits.

What stands before is asked for after the first digit, here and below: a set of signs is found fast.
"""

_CARD_START: Final = re.compile(r"(?:[4-6]\d{15}|2[2-7]\d{14}|3[47]\d{13}|3[068]\d{12})$")
_DIGIT_BEFORE: Final = re.compile(r"\d[ -]$")
_DIGIT_AFTER: Final = re.compile(r"[ -]?\d")

_ACCOUNT_START: Final = re.compile(r"(?<![A-Za-z0-9])([A-Za-z]{2})\d\d(?=[ -]?[A-Za-z0-9]{4})")
_ACCOUNT_LENGTHS: Final = {
    country: int(length)
    for length, countries in (
        line.split(" ", 1)
        for line in """15 NO
16 BE
18 DK FI FO GL NL SD
19 MK SI
20 AT BA EE KZ LT LU MN XK
21 CH HR LI LV
22 BG BH CR DE GB GE IE ME RS VA
23 AE GI IL IQ OM SO TL
24 AD CZ ES MD PK RO SA SE SK TN VG
25 LY PT ST
26 IS TR
27 BI DJ FR GR IT MC MR SM
28 AL AZ BY CY DO GT HU LB NI PL SV
29 BR EG PS QA UA
30 JO KW MU
31 MT SC
32 LC
33 RU""".splitlines()
    )
    for country in countries.split()
}
"""Country -> signs of an international bank account number. Source: the registry that SWIFT keeps for ISO 13616."""

_ACCOUNT_FORMS: Final = {
    length: re.compile(rf"[A-Za-z0-9]{{4}}(?:[ -]?[A-Za-z0-9]){{{length - 4}}}(?![A-Za-z0-9])")
    for length in set(_ACCOUNT_LENGTHS.values())
}

_PERSON_NUMBER: Final = re.compile(
    r"(\d\d\d(?<!000)(?<!666)(?<!9..)(?<![\w.-]...)-(?!00)\d\d-(?!0000)\d{4})(?![\w-]|\.\d)",
)
_PERSON_NAMED: Final = re.compile(
    r"\b(?:ssn|social security(?: (?:number|no\.?))?)\b(?: is|:|=|\s?\()?\s{0,2}"
    r"(?!000|666|9)(\d{3} ?(?!00)\d\d ?(?!0000)\d{4})(?!\d)",
    re.IGNORECASE,
)
"""A US social security number: three parts, none of zeros alone, the first neither 666 nor of 900 and more. Source: the
Social Security Administration, "Social Security Number Randomization", 2011."""

_IN_ADDRESS: Final = re.compile(r"://[^\s/:@\"'<>]{0,100}:([^\s/@\"'<>]{1,200})@")
_BEARER: Final = re.compile(r"\b(?:Bearer|Basic|Token)\s+(?=[\w.~+/=-]{0,60}\d)([\w.~+/=-]{16,})")
_SIGNATURE: Final = re.compile(r"[?&](?:sig|signature|access_token|api_key|apikey|key|token)=([\w%.~+/=-]{16,})")

_NAMED: Final = re.compile(
    r"""(?<![A-Za-z\[])(?:
      (?P<password>pass(?:w(?:or[dt]|d)|code|phrase|key)s?|kennwort|wachtwoord|contrase\u00f1a|mot[ ]de[ ]passe
        |pwd|pw|pass(?=\s?[=:])|pin|(?:recovery|seed)[ ]phrase
        |(?:one-time|otp|verification)[ ]code)
    | (?P<key>(?:access|account|api|auth|client|encryption|license|master|private|refresh|secret|service|session|shared
        |signing|storage|webhook)[ _-]?(?:access[ _-]?)?(?:key|secret|token)|apikey|credentials?|secret|token)
    )
    (?P<rest>[\w-]{0,30})
    (?P<about>(?:\s(?:at|for|in|of|on|to)(?:\s[\w.'@-]{1,40}){1,6}?)?)
    (?P<joint>["']?\s{0,4}(?:[=:]{1,2}=?|=>)\s{0,4}
      |\s(?P<must>(?:must|shall|should)\sbe|changes\sto)\s
      |\s(?:is|was|were|becomes|to|will\sbe|ist|lautet|es|est):?\s(?:(?:actually|now|set\sto|still)\s)?|['\u2019]s\s
      |\s[-\u2013]{1,2}>?\s(?=[^\s"']*[^\s"'a-zA-Z])
      |\s?\((?:is\s|it['\u2019]s\s)?(?=[^\s()]{0,60}[^\s()a-z-][^\s()]{0,60}\)))
    (?P<value>"[^"\n]{1,200}"|'[^'\n]{1,200}'|`[^`\n]{1,200}`|[^\s"'`,;]{1,500})""",
    re.VERBOSE | re.IGNORECASE,
)
_NAME_HEAD: Final = re.compile(
    r"(?<![a-z\[])(?=[acekmloprstvw])(?:a(?:ccess|ccount|pi|uth)|c(?:lient|ontrase|redential)|encryption|kennwort|license"
    r"|m(?:aster|ot de passe)|o(?:ne-time|tp)|p(?:ass|in|rivate|wd?)|re(?:covery|fresh)"
    r"|s(?:e(?:cret|ed|rvice|ssion)|hared|igning|torage)|token|verification|w(?:achtwoord|ebhook))"
)
"""How the names that _NAMED knows begin, in small letters."""

_TURNED: Final = re.compile(
    r"(?<![^\s\"'`(])(?=[^\s\"'`()\[\]]{0,60}[\d!@#$%^&*+=?])([^\s\"'`()\[\]]{4,60})[\"'`]?,? (?:as|is|was)"
    r" (?:my|our|the|your)"
    r" (?:[\w'.-]{1,20} ){0,2}(?:pass(?:word|code|phrase)|pin|pwd)\b"
    r"(?=\s*(?:$|[.,;!?)\n]|(?:and|at|but|for|in|of|on|since|there)\b))",
    re.IGNORECASE,
)
"""What is a password by what follows it: "hunter2 is my password"."""

_TURN: Final = re.compile(
    r"(?:as|is|was) (?:my|our|the|your) (?:[\w'.-]{1,20} ){0,2}(?:pass(?:word|code|phrase)|pin|pwd)"
)
"""What is in every text in which _TURNED finds anything, in small letters."""

_TAKEN_FOR: Final = str.maketrans("\u0130\u0131\u017f", "iis")
"""Letters that a pattern without regard to case takes for others, which they are not when made small."""

_NO_SMALL_LETTER: Final = re.compile("[\u0130\u0131\u017f]")

_FLAG: Final = re.compile(r"--(?:api-key|pass(?:word|wd|phrase)?|secret|token)[ =]([^\s\"'$<\[-][^\s\"']{2,200})")
_ALGORITHM: Final = re.compile(r"(?:aes|argon|bcrypt|hmac|http|md|oauth|pbkdf|rsa|scrypt|sha|utf)[-\d]", re.IGNORECASE)

_DRAWN: Final = r"(?=[^\s\"'`]{0,60}[A-Za-z])(?=[^\s\"'`]{0,60}(?:\d|[!#$%^&*+?](?![\s\"'`]|$)))"
"""What begins here holds letters and a digit or a sign within, as a password does and a word does not."""

_BARE: Final = re.compile(
    r"(?<![A-Za-z\[-])(?:pass(?:w(?:or[dt]|d)|code|phrase)|pwd|pw|kennwort|wachtwoord|contrase\u00f1a)\s{1,4}"
    rf"(?![\"'`]?(?:1password|2fa|mfa|o?auth|\d+-|v\d|your|example|changeme|{_ALGORITHM.pattern}))"
    rf"(?:(?=[\"'`])[\"'`]([^\"'`\n<>\[\]{{}}]{{4,60}})[\"'`]|{_DRAWN}([^\s\"'`,;()\[\]<>{{}}/\\@=:]{{5,60}})(?![@=:/\\(]))",
    re.IGNORECASE,
)
"""A password right after the word: "I use the password Zebra99 for it"."""

_PAIR: Final = re.compile(
    r"\b(?:log-?in|credentials|creds)\b[^\n.;:=/]{0,60}?(?:\b(?:is|are|with)\s|[:=]\s?)\s{0,3}[\w.@+-]{1,60}\s{0,3}[/:|]"
    rf"\s{{0,3}}(?!/){_DRAWN}([^\s\"'`,;()\[\]<>{{}}/]{{5,60}})",
    re.IGNORECASE,
)
"""A name and a password: "my login is bob / S3cret!"."""

_FORMS_IN_TEXT: Final = (
    (_BARE, _PASSWORD, ("pass", "pwd", "pw ", "kennwort", "wachtwoord", "contrase")),
    (_PAIR, _PASSWORD, ("login", "log-in", "credentials", "creds")),
    (_IN_ADDRESS, _PASSWORD, ("://",)),
    (_BEARER, _TOKEN, ("bearer", "basic", "token")),
    (_SIGNATURE, _TOKEN, ("sig=", "signature=", "key=", "token=")),
    (_FLAG, _PASSWORD, ("--",)),
    (_PERSON_NUMBER, _PERSON, ("-",)),
    (_PERSON_NAMED, _PERSON, ("ssn", "social security")),
)
"""Forms that are looked for in the whole text, with what one of is in it where there is anything to find."""

_NAMES: Final = word_set("pass pwd pw pin code phrase wort wachtwoord contrase key secret token credential")
"""What one of is in every name that `_NAMED` knows."""

_NO_SECRET_NAME: Final = re.compile(
    r"[\w-]*?(?:arn|count|env|expir|field|file|format|hash|id\b|ids\b|_len|length|limit|manager|max|name|path|policy|polic"
    r"|prefix|rule|size|ttl|type|uri|url|version)|s$|less|ed$|izer|ization",
    re.IGNORECASE,
)
_PLACEHOLDER: Final = re.compile(
    r"[<{$%*\[(./~]|x{3,}$|pass(?:phrase|wd|word)?\b"
    r"|(?:changeme|dummy|example|fake|my|placeholder|redacted|some|the|your)\b"
    r"|(?:any|bool|bytes|false|int|nil|none|null|optional|required|str|string|true|undefined)\b"
    r"|.*(?:\(|\[|\benv\b|environ|\.get)",
    re.IGNORECASE,
)
"""How values begin that stand for a secret or its type, or are code that fetches it."""

_CLAUSE: Final = re.compile(r"[^.,;\n\"']{1,200}")
_PARTICIPLE: Final = "ed"
_TOLD_OF_PASSWORDS: Final = re.compile(
    r"[a-z]-(?:based|free|less|like|long|only|protected|sensitive|specific)$", re.IGNORECASE
)
_NO_PASSWORD: Final = word_set(
    """about access again already always bad being blank broken case correct different easy empty enough enter fine
    good gone here incorrect invalid it kept log login long lost mandatory me missing never none not ok okay one only
    optional plain private public random reset right safe same secret secure sent set short stale strong that the them
    there this too unique unknown valid visible weak what wrong you"""
)
"""What may follow "the password is" and is none, participles aside."""


def redact(text: str) -> tuple[str, Counter[str]]:
    """The text with every secret replaced by a mark such as "[secret: api key]", and how many of each kind there were.

    Kinds: api key, token, private key, card number, bank account, social security number, password. Marks are left
    alone when met again, so a second pass changes nothing. Takes time linear in the text; never raises.
    """
    found: Counter[str] = Counter()
    for _ in range(_PASSES):
        secrets = sorted(_secrets(text))
        if not secrets:
            break
        parts: list[str] = []
        done = 0
        for start, end, kind in secrets:
            if start >= done:
                found[kind] += 1
                parts += (text[done:start], f"[secret: {kind}]")
            done = max(done, end)
        text = "".join((*parts, text[done:]))
    return text, found


def _secrets(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and kind of each secret; they may overlap."""
    yield from _private_keys(text)
    for run in _RUN.finditer(text):
        yield from _in_run(run)
    small = _in_small_letters(text)
    for form, kind, signs in _FORMS_IN_TEXT:
        if any(sign in small for sign in signs):
            yield from ((*secret.span(secret.lastindex or 1), kind) for secret in form.finditer(text))
    if _TURN.search(small):
        yield from ((*secret.span(1), _PASSWORD) for secret in _TURNED.finditer(text))
    if any(root in small for root in _NAMES):
        yield from _named(text, small)
    yield from _cards(text)
    yield from _accounts(text)


def _private_keys(text: str) -> Iterator[tuple[int, int, str]]:
    """Private keys in their frames; one whose end is missing goes on as long as its lines look like a key's."""
    at = end = 0
    last: int | None = 0
    while frame := _FRAME.search(text, at):
        if last is not None and last < frame.end():  # the next end is looked for once, however many frames begin
            closing = _FRAME_END.search(text, frame.end())
            last, end = (closing.start(), closing.end()) if closing else (None, 0)
        lines = _KEY_LINES.match(text, frame.end())
        is_whole = last is not None and end - frame.end() <= _LONGEST_FRAME
        at = end if is_whole else lines.end() if lines else frame.end()
        yield frame.start(), at, _PRIVATE_KEY


def _in_run(run: re.Match[str]) -> Iterator[tuple[int, int, str]]:
    """Keys and tokens known by their form within a run of signs, or all of it where it has no order."""
    signs = run.group()
    known = False
    for forms, kind in ((_KEY_FORMS, _KEY), (_TOKEN_FORMS, _TOKEN)):
        for secret in forms.finditer(signs):
            known = True
            yield run.start() + secret.start(), run.start() + secret.end(), kind
    if not known:
        named = _ASSIGNED.match(signs)
        start = named.end() if named else 0
        if _is_disorder(signs[start:]):
            yield run.start() + start, run.end(), _KEY


def _is_disorder(signs: str) -> bool:
    """Whether a run of signs looks drawn by lot: long, of both cases and digits, no words in it, no sign preferred."""
    signs = signs[:400].rstrip(".:")
    words = len(_WORD_IN_LOT.findall(signs))
    if (
        not _LOT.fullmatch(signs)
        or words > len(signs) // _SIGNS_A_WORD
        or len(_JOINT.findall(signs)) > len(signs) // 16
    ):
        return False
    digits = sum(map(str.isdigit, signs))
    capitals = sum(map(str.isupper, signs))
    return min(digits, capitals, len(signs) - digits - capitals) >= 4 and _bits(signs) > _DISORDER


def _bits(signs: str) -> float:
    """Shannon's entropy of the signs, in bits a sign."""
    times = Counter(signs).values()
    return math.log2(len(signs)) - math.fsum(map(operator.mul, times, map(math.log2, times))) / len(signs)


def _in_small_letters(text: str) -> str:
    """The text in small letters, each in its place, with those for which patterns without regard to case take some."""
    if not text.isascii() and _NO_SMALL_LETTER.search(text):
        text = text.translate(_TAKEN_FOR)
    return text.lower()


def _named(text: str, small: str) -> Iterator[tuple[int, int, str]]:
    """Values that a name before them says to be secret. `small` is the text in small letters."""
    at = 0
    for head in _NAME_HEAD.finditer(small):
        named = _NAMED.match(text, head.start()) if head.start() >= at else None
        if named is None:
            continue
        at = named.end("joint")
        start, end = named.span("value")
        value = named["value"]
        quoted = value[0] in "\"'`"
        if quoted:
            start, end, value = start + 1, end - 1, value[1:-1]
        else:
            value = value.rstrip(".:)]}>!?")
            end = start + len(value)
        written = "=" in named["joint"] or ":" in named["joint"] or ">" in named["joint"]
        if not value or _NO_SECRET_NAME.match(named["rest"]) or _PLACEHOLDER.match(value):
            continue
        if named["password"]:
            if named["must"] and value.isalpha() and not quoted:  # "must be strong"
                continue
            if named["password"].lower() == "pin" and not value.isdigit():
                continue
            phrase_end = _phrase_end(text, start) if "phrase" in named["password"].lower() else start
            if phrase_end > start or _is_password(value, quoted=quoted, written=written, rest=text[end : end + 12]):
                at = max(phrase_end, end)
                yield start, at, _PASSWORD
        elif _is_key(value, quoted=quoted):
            yield start, end, _TOKEN if "token" in named["key"].lower() else _KEY
            at = end


def _phrase_end(text: str, start: int) -> int:
    """Where a passphrase of three words or more ends; `start` where the words read like a sentence."""
    clause = _CLAUSE.match(text, start)
    words = clause.group().split() if clause else []
    is_phrase = len(words) >= 3 and all(word.isalpha() and word not in STOP_WORDS for word in words)
    return clause.end() if clause and is_phrase else start


def _is_password(value: str, *, quoted: bool, written: bool, rest: str) -> bool:
    """Whether a value after the word "password" is one, and not what is said about passwords.

    `written`: after a sign such as "=", not after "is". `rest` is what follows.
    """
    if (
        value.lower() in _NO_PASSWORD
        or _TOLD_OF_PASSWORDS.search(value)
        or _ALGORITHM.match(value)
        or len(value) < 3
        or value.endswith(_PARTICIPLE)
    ):
        return False
    if value.isdigit():
        return len(value) >= 4 and not re.match(
            r"\s(?:bytes?|char|chars|characters?|days?|digits?|letters?|signs?|times?)\b", rest
        )
    if quoted:
        return True
    if not value.isalpha() or not (value.islower() or value.istitle()):
        return len(value) >= 4 and any(sign.isalnum() for sign in value)
    return bool(re.match(r"\s*$|[.,;!?)\n]|\s(?:and|but|or)\b|\s*\n", rest)) and (written or len(value) >= 4)


def _is_key(value: str, *, quoted: bool) -> bool:
    """Whether a value after a word such as "api key" is one: long enough, with letters and digits, and no address."""
    if len(value) < 8 or "://" in value or not value.isprintable() or " " in value:
        return False
    digits = sum(sign.isdigit() for sign in value)
    letters = sum(sign.isalpha() for sign in value)
    if digits >= 2 and letters >= 2:
        return True
    return letters >= 16 and (quoted or not value.islower()) and _bits(value) > 3.5


def _cards(text: str) -> Iterator[tuple[int, int, str]]:
    """Card numbers that begin or end a row of digits, or follow another one in it."""
    last = -2
    for digits in _CARD_DIGITS.finditer(text):
        start, end = digits.start(), digits.end(1)
        if start < last or not _is_card(text[start:end]):
            continue
        within = start - last > 1 and _DIGIT_BEFORE.search(text, max(0, start - 2), start)
        if not (within and _DIGIT_AFTER.match(text, end)):
            last = end
            yield start, end, _CARD


def _is_card(written: str) -> bool:
    """Whether digits are a payment card's: its length and first digits, and the last a check digit.

    Source: ISO/IEC 7812-1, annex B (the Luhn formula).
    """
    digits = written.translate(_WITHOUT_JOINTS)
    if not _CARD_START.match(digits) or len(set(digits)) == 1:
        return False
    signs = str(int(digits)).encode()
    return (sum(signs[-1::-2]) + sum(signs[-2::-2].translate(_DOUBLED)) - ord("0") * len(signs)) % 10 == 0


_WITHOUT_JOINTS: Final = str.maketrans("", "", " .-\u00a0\u202f\u2013\t\n")
_DOUBLED: Final = bytes.maketrans(b"0123456789", b"0246813579")
"""Each digit doubled, and the two digits that may give added up."""


def _accounts(text: str) -> Iterator[tuple[int, int, str]]:
    """International bank account numbers: as long as those of their country, with check digits that are right.

    Source: ISO 13616-1 with ISO/IEC 7064, MOD 97-10.
    """
    for begun in _ACCOUNT_START.finditer(text):
        form = _ACCOUNT_FORMS.get(_ACCOUNT_LENGTHS.get(begun[1].upper(), 0))
        account = form.match(text, begun.start()) if form else None
        if account:
            signs = account.group().upper().translate(_IN_DIGITS)
            head = begun.group().upper().translate(_IN_DIGITS)
            if int(signs.removeprefix(head) + head) % 97 == 1:
                yield *account.span(), _ACCOUNT


_IN_DIGITS: Final = str.maketrans({" ": "", "-": ""} | {chr(ord("A") + place): str(10 + place) for place in range(26)})
"""What the check of an account number takes each letter for."""
