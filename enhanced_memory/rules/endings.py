"""States, and the events that end them: "is engaged" and "got married", "in progress" and "released".

Above it lie `rules.judging` and `rules.conflicts`; below it `rules.patterns`. Patterns are met in claims' plain words.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from enhanced_memory.rules.patterns import by_first_sign, may_begin

_STATES: Final = (
    (
        r"pregnant|expecting (?:a |her |their )?(?:baby|child)",
        r"gave birth|had (?:a|the|her|their) (?:baby|boy|girl|son|daughter)|baby (?:was|is"
        r"|has been)? ?born|became (?:a )?(?:mother|father|parents?)",
    ),
    (
        r"single|divorced|widowed|not married",
        r"got (?:married|engaged)|married(?: \w+)? |is (?:married|engaged|dating)"
        r"|in a relationship|started dating|spouse is",
    ),
    (r"engaged|fianc\w+", r"(?:got |is |are )married|wedding was|called off"),
    (
        r"married|spouse is|dating|girlfriend|boyfriend|in a relationship|together with",
        r"divorced|separated|widowed|broke up|split up|is single|left (?:his|her|their) (?:wife"
        r"|husband)",
    ),
    (
        r"works? (?:at|in|as)|job|developer|employed",
        r"quit(?: \w+)* (?:job|work)|retired|resigned|laid off|was fired|left (?:his|her|the"
        r"|their) (?:job|company)|became unemployed|lost (?:his|her|the|their) job|is unemployed",
    ),
    (
        r"freelanc\w+|self-employed|intern(?:s|ing|ship)?|trainee|apprentice\w*|on probation|contractor",
        r"permanent\w*|(?:been |is )employed|works at|hired|full ?time|passed (?:\w+ )?probation|promoted",
    ),
    (
        r"looking for (?:a |new )*(?:job|work)|job hunting|unemployed|between jobs|interviewing"
        r"|searching for (?:a |new )*(?:job|work)",
        r"(?:found|got|started|accepted|landed|has)(?: \w+){0,2} (?:job|position|offer|role)|hired"
        r"|works (?:at|for|as)|joined",
    ),
    (
        r"student|studies|studying|attends?|in (?:college|university|school)|phd candidate",
        r"graduated|finished (?:\w+ )?(?:degree|studies|school|college|university)|dropped out"
        r"|got (?:a|the|his|her) (?:degree|phd|diploma)",
    ),
    (
        r"rents?|renting|tenant",
        r"bought (?:\w+ )*(?:house|flat|apartment|home|condo)|owns? (?:\w+ )*(?:house|flat"
        r"|apartment|home|condo)",
    ),
    (
        r"lives? with (?:his |her |their |the )?(?:parents|family|mother|roommates?|flatmates?)",
        r"moved (?:in|out)\w*",
    ),
    (r"(?:learning|learns) to drive|driving lessons", r"(?:passed|got) (?:\w+ )?(?:driving|driver)\w*"),
    (r"training for|preparing for|studying for", r"(?:finished|completed|ran|passed|won|took)"),
    (
        r"planning (?:a |the )?(?:trip|vacation|holiday|visit)|going to visit",
        r"(?:came|come|got) back from|returned from|visited|went to",
    ),
    (
        r"sick|ill|has (?:a |the )?(?:cold|flu|covid|fever)|in (?:the )?hospital|injured",
        r"recovered|is (?:healthy|well|fine)|(?:came|come) (?:home|out)|better|released|healed",
    ),
    (r"smokes?|smoker|drinks?", r"(?:quit|stopped|gave up) (?:smoking|drinking|alcohol|cigarettes)|is sober"),
    (
        r"no children|childless|no kids",
        r"had (?:a|the|their|her|his|@1) \w+|gave birth|became (?:a )?(?:parent|mother|father)"
        r"|adopted",
    ),
    (r"(?:one|@1) (?:child|kid|son|daughter)", r"(?:second|another) (?:child|kid|baby|son|daughter)"),
    (
        r"a?waiting|expecting|ordered|pending|applied|in progress|under (?:review|construction|development)"
        r"|in review|draft|open|blocked|unresolved|applying|(?:looking|searching|shopping) for|fever|cold"
        r"|in (?:beta|alpha)|planned|todo|not started|work in progress|wip|broken",
        r"merged|fixed|resolved|closed|approved|rejected|granted|arrived|released|shipped|launched"
        r"|completed?|done|over|gone|finished|(?:generally |now )?available|published|live"
        r"|unblocked|cancelled|canceled|healed|received|started|repaired|went live|deployed|found"
        r"|bought|signed|chosen|settled|picked",
    ),
    (
        r"(?:at|in|with) the|on (?:\w+ )?(?:leave|vacation|holiday|sabbatical)|away|abroad"
        r"|travell?ing",
        r"(?:is|am|are|came|come|got) back|returned",
    ),
    (r"alive", r"died|passed away"),
)
"""A state, and the events that end it, as they are told."""

SHARING: Final = frozenset(range(len(_STATES) - 3, len(_STATES) - 1))
"""Places of states so common that the event must name the same thing."""

_TOLD: Final = [(pattern, n, side) for n, pair in enumerate(_STATES) for side, pattern in enumerate(pair)]
_ANY_STATE: Final = re.compile(rf"(?<!\w)(?={by_first_sign(told for told, _, _ in _TOLD)}\b)")
"""Where any of them is told."""


@lru_cache(maxsize=65_536)
def states_of(plain: str) -> tuple[frozenset[int], frozenset[int]]:
    """Places in _STATES of the states a text tells, and of those whose end it tells."""
    found: tuple[set[int], set[int]] = set(), set()
    for place in _ANY_STATE.finditer(plain):
        at = place.start()
        for n, side, pattern in _told_at(plain[at]):
            if pattern.match(plain, at):
                found[side].add(n)
    return frozenset(found[0]), frozenset(found[1])


@lru_cache(maxsize=64)
def _told_at(sign: str) -> tuple[tuple[int, int, re.Pattern[str]], ...]:
    """Of the states and their ends that may be told from this sign on: place, which of the two, and its pattern."""
    return tuple((n, side, re.compile(rf"(?:{told})\b")) for told, n, side in _TOLD if may_begin(told, sign))
