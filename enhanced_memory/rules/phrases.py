"""Turns of phrase and abbreviations, each brought to the plain words it stands for.

Above it lies `rules.claims`; below it `rules.patterns`.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Final

from enhanced_memory.rules.patterns import by_first_sign, may_begin

_PHRASES: Final = {
    r"(?:new york city|nyc|new york)": "new_york",
    r"(?:los angeles|l\.a\.|la(?=$|[.,]| (?!carte)))": "los_angeles",
    r"(?:san francisco|sf)": "san_francisco",
    r"(?:the )?(?:united states(?: of america)?|u\.s\.a?\.?|usa|us)": "usa",
    r"(?:the )?(?:united kingdom|u\.k\.|uk|great britain)": "uk",
    r"(?:visual studio code|vs code)": "vscode",
    r"sublime text": "sublime_text",
    r"github actions?": "github_actions",
    r"gitlab ci": "gitlab_ci",
    r"(?:k8s|kube)": "kubernetes",
    r"postgres": "postgresql",
    r"mongo": "mongodb",
    r"js": "javascript",
    r"ts": "typescript",
    r"(?:golang|go lang)": "go",
    r"py": "python",
    r"node(?:\.js|js)": "node",
    r"react(?:\.js|js)": "react",
    r"vue(?:\.js|js)": "vue",
    r"(?:amazon web services)": "aws",
    r"(?:google cloud(?: platform)?)": "gcp",
    r"(?:os x|mac os)": "macos",
    r"c\+\+": "c_plus_plus",
    r"c#": "c_sharp",
    r"time[ -]?zone": "timezone",
    r"hr": "human resources",
    r"(?:pull request|merge request|mr(?= (?!\w+ (?:is|was))))s?": "pr",
    r"prs": "pr",
    r"continuous integration": "ci",
    r"(?:artificial intelligence)": "ai",
    r"machine learning": "ml",
    r"user interface": "ui",
    r"front[ -]end": "frontend",
    r"back[ -]end": "backend",
    r"(?:e-mail|mail)": "email",
    r"(?:text messages?|texting)": "text",
    r"(?:phone calls?|calling)": "phone",
    r"merge commits?": "merge_commit",
    r"(?:white space|spaces)": "spaces",
    r"left[ -]handed": "left-handed",
    r"right[ -]handed": "right-handed",
    r"full[ -]time": "fulltime",
    r"part[ -]time": "parttime",
    r"night owl": "owl evening",
    r"(?:early bird|morning person)": "owl morning",
    r"(?:can|could) not stand": "dislike",
    r"not (?:a )?(?:big |huge )?fan of": "dislike",
    r"(?:a )?(?:big |huge |great )?fan of": "like",
    r"(?:fond of|keen on|into(?= \w+ing\b))": "like",
    r"(?:works?|working) (?:remotely|remote|from home)": "works from_home",
    r"(?:is |are |am )?employed (?:by|at)": "works at",
    r"(?:an )?employee (?:of|at)": "works at",
    r"works? for": "works at",
    r"(?:is |are |am )?(?:based|located|situated) in": "lives in",
    r"(?:makes? (?:my|his|her|their|its|the)? ?home) in": "lives in",
    r"relocat(?:e|es|ed|ing) to": "moved to",
    r"(?:is |are |am )?originally from": "comes from",
    r"(?:hails?|hailing|is|am) from": "comes from",
    r"(?:gets? up|rises)": "wakes up",
    r"(?:went|goes|gone) (?:down|offline)": "crashed",
    r"(?:goes|go|going|went) up": "increased",
    r"would like": "want",
    r"would love": "want",
    r"birth year is": "born in",
    r"year of birth is": "born in",
    r"(?:date of birth|birth date|birthdate|birthday) (?:is|falls)(?: on)?": "birthday is",
    r"(?:has|have|with) (?:an? )?(\w+) allergy": r"allergic to \1",
    r"likes (.+) (?:best|the most|most of all)": r"favorite is \1",
    r"likes? to be contacted (?:by|via|through)": "prefers",
    r"(?:is )?best reached (?:by|via)": "prefers",
    r"(?:does not|do not|never|not) eats? (?:any )?meat": "is a vegetarian",
    r"(?:cycles|bikes|rides (?:a|the|his|her|my) bike|cycle|bike) to (?:the )?(?:work|office)": "commutes by bike",
    r"walks? to (?:the )?(?:work|office)": "commutes by foot",
    r"drives? to (?:the )?(?:work|office)": "commutes by car",
    r"(\w+) (?:is|are) (?:preferred|favored) (?:over|to) (\w+)": r"prefers \1 over \2",
    r"(?:is |are )?(?:married to)": "spouse is",
    r"(?:wife|husband|spouse|partner) is(?: called| named)?": "spouse is",
    r"(?:software )?(?:developer|engineer|programmer)": "developer",
    r"mother tongue": "native language",
    r"(?:brothers?|sisters?) or (?:brothers?|sisters?)": "siblings",
    r"turned on": "on",
    r"turned off": "off",
    r"(?:switched|set to) on": "on",
    r"switched off": "off",
    r"(?:enabled|activated)": "on",
    r"(?:disabled|deactivated)": "off",
    r"(?:not allowed|forbidden|prohibited|banned|disallowed)": "not allowed",
    r"(?:is|are|was) called": "is named",
    r"called": "named",
    r"as well as": "and",
    r"a lot(?: of)?": "",
    r"lots of": "",
    r"kind of|sort of": "",
    r"in order to": "to",
    r"(?:gave|gives|given|giving) up": "stopped",
    r"(?:rather than|instead of|as opposed to|in favor of not)": "over",
    r", not (?!only|just)(?=\w+$)": " over ",
    r"would rather": "prefers",
    r"(?:need|must|have to) not": "do not",
    r"(?:every|each|once a|once per|per) day": "daily",
    r"(?:every|each) night": "nightly",
    r"(?:every|each|once a|once per) week": "weekly",
    r"(?:every other|every second) week|fortnightly|every @2 weeks": "biweekly",
    r"(?:every|each|once a|once per) month": "monthly",
    r"(?:every|each|once a|once per) year": "yearly",
    r"(?:every|each) hour": "hourly",
    r"turned (@\d+)(?! \w+ into)": r"is now \1 years old",
    r"aged (@\d+)": r"is \1 years old",
    r"is (@[\w:.]+) tall": r"height is \1",
    r"only child": "not siblings",
    r"non-?smoker": "not smoke",
    r"(?:is |am )?(?:an? )?smoker": "smokes",
    r"teetotal(?:er|ler)?": "not drink alcohol",
    r"(?:is |am |are )?passionate about": "like",
    r"(?:is |am |are )(?:very |really )?interested in": "like",
    r"(?:is |am |are )?(?:an? )?(?:big |huge |avid |passionate )?(\w+) (?:fan|lover|enthusiast|addict)": r"likes \1",
    r"(?:is|am) an? (?:avid |keen |good )?(\w+) player": r"plays \1",
    r"(?:is |am )?fluent in": "speaks",
    r"can speak": "speaks",
    r"ask(?:s|ed) for": "wants",
    r"follows? an? (\w+) diet": r"is \1",
    r"by (?:him|her|them|my|your)sel(?:f|ves)": "alone",
    r"(?:birthplace|place of birth) is": "born in",
    r"was born": "born",
    r"(?:goes|go|went|gone) (running|swimming|hiking|cycling|climbing|skiing|shopping|jogging|dancing|fishing)": r"\1",
    r"qa": "quality assurance",
    r"email address(?:es)?": "email",
    r"phone number": "phone",
    r"(?:make sure to|be sure to|remember to|needs? to|has to|have to|must)": "must",
    r"takes care of|take care of|(?:is |am |are )?responsible for|(?:is |am |are )?in charge of": "manages",
    r"(?:grew up|raised|brought up) in": "childhood in",
    r"(?:is |are )?(?:written|implemented|coded|developed) (in|with|using)": r"built \1",
    r"(?:is |are )?(?:due)(?: on| by)?": "deadline is",
    r"suffers? from": "has",
    r"(?:gets|get) along with": "likes",
    r"(?:is |are )?crazy about": "like",
    r"(?:works|working) out": "trains",
    r"(@\d[\w.:]*) long": r"\1",
    r"(?:started|began|resumed) (eating|drinking|smoking|using|taking|wearing|playing|driving)": r"now \1",
    r"(?:is |are |am )?(\w+)[ -]intolerant": r"not eat \1",
    r"(?:goes|go|went|going) to (?:bed|sleep) late|stays up late|late riser": "owl evening",
    r"(?:goes|go|went|going) to (?:bed|sleep) early|(?:gets|wakes) up early|early riser": "owl morning",
    r"(?:likes?|wants?|prefers?) (?:the |his |her |their |my )?(\w+) to be (\w+)": r"prefers \2 \1",
    r"(\w+) (?:is|are) (?:done|performed|handled) (?:with|using|by|in|via|through) (\w+)": r"uses \2 for \1",
    r"(?:got|gets) (?!married|engaged|divorced|promoted|hired|fired|accepted|excited|used)(\w+ed)": r"was \1",
    r"(?:consists? of|comprises?|is made up of)": "has",
    r"(?:is )?(?:a |the )?(?:proud )?(?:father|mother|parent|dad|mom|mum) of(?= @?\d)": "has",
    r"(?:earlier|sooner) than": "before",
    r"later than": "after",
    r"(?:commutes?|gets?|goes) to (?:the )?(?:work|office)(?= (?:by|on|with)\b)": "commutes",
    r"(?:under|undergoing|down for|offline for) maintenance": "in maintenance",
    r"back(?:s|ed|ing)? up": "backup",
    r"backups": "backup",
    r"(?:only )?(?:visible|accessible|available|reachable) (?:only )?(?:internally|in-house)": "private",
    r"the best": "favorite",
    r"(?:most )?favored": "favorite",
    r"object[ -]oriented": "object-oriented",
    r"free ?lancer?": "freelance",
    r"(?:run|runs|running|listens?|listening) on port": "on port",
    r"log[ -]?in": "login",
    r"(?:spanish)": "spanish",
    r"comes from spain": "is spanish",
    r"comes from germany": "is german",
    r"comes from france": "is french",
    r"comes from italy": "is italian",
    r"comes from poland": "is polish",
    r"comes from china": "is chinese",
    r"comes from japan": "is japanese",
    r"comes from (?:the )?(?:usa)": "is american",
}
"""Turns of phrase and abbreviations, each with the plain words it stands for."""

_NO_GROUPS: Final = by_first_sign(re.sub(r"(?<!\\)\((?!\?)", "(?:", key) for key in _PHRASES)
_ANY_PHRASE: Final = re.compile(rf"(?<![\w@-]){_NO_GROUPS}(?![\w-])")


def with_plain_phrases(text: str) -> str:
    """A text in small letters with turns of phrase and abbreviations in the plain words they stand for."""
    plain = _ANY_PHRASE.sub(_plain_phrase, text)
    return plain if plain == text else _ANY_PHRASE.sub(_plain_phrase, plain)


def _plain_phrase(match: re.Match[str]) -> str:
    for key in _phrases_at(match.group()[0]):
        found = _each(key).match(match.string, match.start())
        if found and found.end() == match.end():
            return found.expand(_PHRASES[key])
    return match.group()


@lru_cache(maxsize=64)
def _phrases_at(sign: str) -> tuple[str, ...]:
    """Phrases that may begin with this sign, in their order."""
    return tuple(key for key in _PHRASES if may_begin(key, sign))


@cache
def _each(key: str) -> re.Pattern[str]:
    return re.compile(f"{key}(?![\\w-])")
