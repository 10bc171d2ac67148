"""What words have to do with one another: same meaning, opposite, of one kind, ending one another.

Above it lie `rules.claims` and `rules.slots`; below it the stemmer. The lists are small and everyday: words that people's
memories and software projects share. A word of a text becomes a term: the stem of the first word of its group, or its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from enhanced_memory.rules.stemming import stem

_IRREGULAR: Final = dict(
    form.split(":")
    for form in """went:go gone:go goes:go bought:buy sold:sell left:leave lost:lose met:meet ate:eat eaten:eat
    drank:drink drunk:drink drove:drive driven:drive ran:run wrote:write written:write spoke:speak spoken:speak
    built:build taught:teach began:begin begun:begin grew:grow grown:grow sent:send kept:keep held:hold paid:pay
    gave:give given:give took:take taken:take got:get gotten:get made:make done:do did:do does:do had:have has:have
    was:be were:be is:be are:be am:be been:be being:be rose:rise risen:rise fell:fall fallen:fall chose:choose
    chosen:choose broke:break broken:break quit:quit read:read knew:know known:know thought:think saw:see seen:see
    swam:swim rode:ride ridden:ride wore:wear worn:wear won:win felt:feel told:tell said:say became:become
    came:come hid:hide hidden:hide slept:sleep sang:sing sung:sing stood:stand found:find died:die dying:die
    lying:lie woke:wake woken:wake rewrote:rewrite rewritten:rewrite spent:spend children:child kids:kid
    people:person men:man women:woman feet:foot teeth:tooth mice:mouse wives:wife lives:live moved:move
    data:data media:media""".split()
)

_SAME: Final = """
like enjoy love adore appreciate
live reside dwell inhabit
own possess
want wish
need require
buy purchase
start begin commence launch
finish complete end
fix repair resolve solve
fail broken break crash
big large huge
small little tiny
fast quick rapid speedy
slow sluggish
short concise brief terse
long detailed lengthy verbose thorough
child kid
car automobile
house home
job position
doctor physician
developer programmer engineer coder
film movie
photo picture
shop store
phone telephone mobile cellphone
meeting meet call
learn study
cycle bike bicycle
commute travel
afraid scared fear fearful frightened
allergic allergy
apartment flat
boss manager supervisor
company firm employer
wife husband spouse partner fiance
mom mother mum
dad father
cold chilly
hot warm
smart clever intelligent
happy glad
sad unhappy
expensive costly pricey
cheap inexpensive
important crucial essential vital
mandatory obligatory compulsory
required needed necessary
quit resign
hire recruit
talk speak
choose pick select
test check
bug defect
error exception
folder directory
repository repo
database db
configuration config settings
documentation docs doc
environment env
production prod
development dev
application app
administrator admin
message msg
password passwd
specification spec
deploy ship
delete remove erase
create make
answer reply response respond
show display
allow permit
maximum max
minimum min
limit cap threshold
frontend ui
colour color
favourite favorite
centre center
organise organize
vacation holiday
autumn fall
language lang
standup stand-up
mail email
laptop notebook
lawyer attorney
fridge refrigerator
sofa couch
gym fitness
injury injured
ill sick unwell
interval period
supper dinner
soccer football
maths math mathematics
teach instruct
author writer
cost price
weigh weight
routine habit
important key
town city
salary wage pay
kitchen cuisine
holiday trip journey
pupil student
present gift
garden yard
rug carpet
trousers pants
nickname alias
rule policy guideline
build compile
bill invoice
remote distributed
secret credential
noisy loud
freelance freelancer self-employed
vegan plant-based
shy reserved
teammate colleague coworker
"""
"""Words of one meaning, a group a line; the first stands for all."""

_OPPOSITES: Final = """
tall short
big small
fast slow
long short
hot cold
open closed
on off
up down
public private
enable disable
synchronous asynchronous
sync async
introvert extrovert
introverted extroverted
left-handed right-handed
left right
early late
first last
allow forbid
allowed forbidden
pass fail
succeed fail
mandatory optional
required optional
required forbidden
single married
single engaged
include exclude
support oppose
easy hard
easy difficult
simple complex
cheap expensive
rich poor
strong weak
strict lenient
light dark
high low
happy sad
hungry full
healthy ill
young old
new old
clean dirty
quiet noisy
quiet loud
manual automatic
manual automated
static dynamic
local remote
online offline
online offsite
onsite remote
start stop
accept reject
accept decline
agree disagree
approve reject
increase decrease
before after
inside outside
morning evening
morning night
employed unemployed
active inactive
available unavailable
stable unstable
safe unsafe
valid invalid
visible hidden
encrypted unencrypted
paid free
free busy
serial parallel
sequential parallel
ascending descending
internal external
present absent
alive dead
true false
yes no
positive negative
upper lower
uppercase lowercase
optimist pessimist
optimistic pessimistic
formal informal
formal casual
verbose quiet
working broken
work fail
signed unsigned
mutable immutable
blocking nonblocking
sweet savoury
sweet salty
raw cooked
minimal full
extends shrinks
full-time part-time
fulltime parttime
permanent temporary
stateless stateful
monolith microservices
wet dry
wide narrow
heavy light
thick thin
shy outgoing
patient impatient
like dislike
trust distrust
friend enemy
beginner expert
beginner advanced
novice expert
junior senior
empty full
alone together
vertical horizontal
portrait landscape
lenient tough
tidy messy
calm nervous
cooked raw
verified unverified
public confidential
centralised distributed
monorepo polyrepo
strict loose
odd even
sunny rainy
sober drunk
awake asleep
rural urban
north south
east west
domestic foreign
native foreign
above below
buy sell
push pull
lead follow
love hate
win lose
add remove
show hide
lock unlock
allow block
merge split
save spend
"""
"""Pairs that cannot both hold of one thing."""

_KINDS: Final = """
database: mysql postgresql sqlite mongodb mariadb oracle redis cassandra dynamodb cockroachdb mssql duckdb couchdb firestore
cache: redis memcached
queue: kafka rabbitmq sqs nats celery pulsar
shell: zsh bash fish powershell tcsh nushell
editor: vim neovim emacs vscode sublime_text intellij pycharm nano atom webstorm zed notepad eclipse xcode helix cursor
os: linux macos windows ubuntu debian fedora arch freebsd mac centos mint nixos
ci: jenkins github_actions gitlab_ci circleci travis teamcity buildkite azure_pipelines drone bamboo
cloud: aws azure gcp heroku vercel netlify digitalocean hetzner ec2 kubernetes cloudflare render fly linode on_premise
vcs: git mercurial subversion svn
forge: github gitlab bitbucket gitea
package_manager: npm yarn pnpm bun pip poetry uv conda pipenv pdm
bundler: webpack vite rollup parcel esbuild turbopack
test_framework: pytest unittest jest mocha vitest junit rspec cypress playwright selenium
frontend: react vue angular svelte ember solid jquery nextjs nuxt
backend: django flask fastapi express rails spring laravel nestjs
language: python java kotlin go rust javascript typescript ruby php swift scala haskell perl elixir clojure cobol fortran c_plus_plus c_sharp
formatter: black yapf prettier autopep8 ruff
linter: eslint flake8 pylint ruff tslint
api: rest graphql grpc soap
format: json yaml toml xml csv protobuf markdown
license: mit gpl apache bsd lgpl mpl proprietary
chat: slack discord teams whatsapp signal telegram zoom mattermost
phone: iphone android pixel samsung nokia
browser: firefox chrome safari edge brave opera
indent: tabs spaces
theme: dark light solarized
units: metric imperial
cast: celsius fahrenheit
merge: rebase merge_commit squash
branch: main master develop trunk
contact: email phone call text sms chat letter
tracker: jira linear asana trello notion github_issues youtrack
orchestrator: kubernetes nomad docker_swarm ecs
drink: tea coffee water juice beer wine cola espresso cocoa milk lemonade
alcohol: beer wine whisky whiskey vodka gin rum cocktail champagne
meat: beef steak pork chicken ham bacon burger sausage lamb turkey
food: pizza sushi pasta ramen curry tacos salad soup rice noodles bread chocolate icecream lasagna paella burger
dairy: milk cheese yogurt butter cream
seafood: shrimp crab lobster oyster mussel shellfish
colour: red blue green yellow black white purple pink orange brown grey gray silver gold beige teal turquoise
weekday: monday tuesday wednesday thursday friday saturday sunday
month: january february march april june july august september october november december
season: spring summer autumn winter
daytime: morning noon afternoon evening night midnight
frequency: hourly daily weekly biweekly monthly quarterly yearly annually
timezone: cet cest pst pdt est edt utc gmt cst mst bst ist jst
profession: teacher nurse doctor lawyer engineer developer designer writer chef cook architect accountant plumber electrician pilot journalist dentist scientist musician actor farmer pharmacist photographer librarian barista consultant analyst carpenter translator
diet: vegetarian vegan pescatarian omnivore carnivore keto
marital: single married divorced engaged widowed
nationality: german french spanish italian american british canadian polish dutch swedish norwegian danish finnish russian chinese japanese indian brazilian mexican irish portuguese greek turkish korean australian austrian swiss
city: paris london berlin madrid rome lisbon warsaw vienna prague munich hamburg oslo bergen stockholm copenhagen helsinki amsterdam brussels dublin zurich geneva milan barcelona valencia lyon porto athens budapest new_york los_angeles san_francisco chicago boston seattle austin toronto vancouver tokyo osaka seoul beijing shanghai singapore sydney melbourne delhi mumbai denver miami
country: germany france spain italy usa uk canada poland netherlands sweden norway denmark finland russia china japan india brazil mexico ireland portugal greece turkey korea australia austria switzerland belgium england scotland peru
transport: train car bus bike tram subway metro foot ferry motorcycle scooter
pet: dog cat hamster parrot rabbit
side: left right
seat: aisle window
housing: apartment house condo dormitory
size: xs small medium large xl
level: junior senior principal beginner intermediate advanced
cuisine: italian mexican thai indian chinese japanese french greek
stage: alpha beta stable experimental
religion: christian muslim jewish buddhist hindu atheist catholic protestant
hand: left-handed right-handed
place: office home remote
method: scrum kanban waterfall xp
case: camelcase snake_case kebab-case pascalcase
layout: dvorak qwerty azerty colemak qwertz
sibling: brother sister
parent: mother father
notes: obsidian notion evernote onenote roam logseq joplin
terminal: iterm alacritty kitty ghostty tmux wezterm
reader: kindle paperback e-book ebook hardcover audiobook
monitoring: datadog prometheus grafana newrelic sentry
infrastructure: terraform pulumi ansible cloudformation chef puppet
css: tailwind bootstrap sass
orm: sqlalchemy prisma hibernate typeorm
bank: revolut n26 monzo chase
streaming: netflix spotify hulu disney tidal deezer
carmaker: toyota ford honda bmw audi volvo tesla mercedes volkswagen renault skoda mazda hyundai kia fiat nissan subaru peugeot
sport: tennis football soccer basketball chess golf rugby cricket badminton volleyball hockey
instrument: guitar piano violin cello drums flute trumpet saxophone
"""
"""Kinds of things and what belongs to them: of two of one kind, a place for one thing holds one."""

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
    r"(?:goes|go|went|gone) (running|swimming|hiking|cycling|climbing|skiing|shopping|jogging|dancing|fishing|camping|sailing|surfing)": r"\1",
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
    r"the best": "favorite",
    r"(?:most )?favored": "favorite",
    r"object[ -]oriented": "object-oriented",
    r"free ?lancer?": "freelance",
    r"(?:run|runs|running) on port": "port",
    r"(?:listens?|listening) on port": "port",
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

OPPOSITE_VERBS: Final = {
    "dislike": "like",
    "hate": "like",
    "detest": "like",
    "loathe": "like",
    "despise": "like",
    "avoid": "use",
    "lack": "have",
    "exclude": "include",
    "oppose": "support",
    "forbid": "allow",
    "prohibit": "allow",
    "distrust": "trust",
    "refuse": "want",
    "omit": "include",
    "skip": "do",
}
"""Verbs that say the negative of another."""

_VERBS: Final = """
accept ache add admire adopt agree aim allow answer apply approve arrive ask assign attend attest avoid bake be become begin
believe belong block book break bring build bump buy call cancel celebrate change charge check choose climb close code
collect come commit commute complete connect consider contain contribute convert cook cost count crash create cycle date
decide decline decrease delete depend deploy deprecate design die dig disable dislike display distrust divorce do download
drink drive drop dwell earn eat employ enable enforce enjoy exceed exclude expect expire extend fail fall favor fear feel
fetch find finish fix fly follow forbid forget format forward gain get give go graduate grow handle happen hate have heal
help hide hire hope host import improve include increase indent install integrate intend join keep kick knit know lack land
launch learn leave lie lift like limit list listen live load log loathe lock lose love lower maintain make manage marry
measure meet mentor merge migrate mind monitor motivate move name need nest obtain occur offer omit open oppose order
organize own pass pay permit pick plan play possess postpone practice prefer prohibit promote propose provide publish purchase push
quit raise reach read receive recommend record recover reduce refuse reject relax release remember remove rename rent
replace reply report require reschedule reside resign rest retire retry return revert rewrite ride rise run schedule say see sell
send serve set settle share ship show sign sing sit skip sleep smoke speak spend split stand start stay stop store
study subscribe suffer supervise support swim switch take talk teach tell test throw time track trade train transfer travel
trust try turn update upgrade upload use validate visit volunteer wait wake walk want wash watch wear weigh win wish work
worry defend double triple halve shorten shift adjust redesign swap submit deliver terminate write authenticate authorize cache compile depend document generate encrypt enroll fit fork lint paint parse query
raise recommend render restart rotate run scale throttle trigger
"""


def _groups(table: str) -> dict[str, str]:
    same: dict[str, str] = {}
    for line in table.strip().splitlines():
        head, *others = (stem(word) for word in line.split())
        head = same.get(head, head)
        same |= {other: head for other in others if other not in same}
    return same


_HEADS: Final = _groups(_SAME)


@lru_cache(maxsize=65_536)
def term(word: str) -> str:
    """The term of a word in small letters: what all words of its meaning and all its forms share."""
    base = _IRREGULAR.get(word, word)
    found = stem(base) if base.isascii() and base.isalpha() else base.removesuffix("s") if "-" in base else base
    return _HEADS.get(found, found)


VERBS: Final = frozenset(stem(verb) for verb in _VERBS.split())
"""Stems of the verbs by which statements are taken apart."""


@lru_cache(maxsize=65_536)
def is_verb(word: str) -> bool:
    """Whether a word can be a form of a known verb."""
    return stem(_IRREGULAR.get(word, word)) in VERBS if word.isascii() and word.isalpha() else False


def is_inflected(word: str) -> bool:
    """Whether a form of a verb is more than its base: "uses", "used", "went"."""
    return word in _IRREGULAR or word.endswith(("s", "ed", "ing")) and not word.endswith("ss")


def _pairs(table: str) -> frozenset[frozenset[str]]:
    return frozenset(frozenset(term(word) for word in line.split()) for line in table.strip().splitlines())


_OPPOSED: Final = _pairs(_OPPOSITES)


def are_opposite(one: str, other: str) -> bool:
    """Whether two terms are opposites."""
    if frozenset((one, other)) in _OPPOSED:
        return True
    short, long = sorted((one, other), key=len)
    return len(short) >= 4 and long.endswith(short) and long.removesuffix(short).rstrip("-") in _DENYING_PREFIXES


_DENYING_PREFIXES: Final = frozenset("un in im ir il dis non anti de a".split())


def _members(table: str) -> dict[str, frozenset[str]]:
    kinds: dict[str, set[str]] = {}
    for line in table.strip().splitlines():
        kind, _, words = line.partition(":")
        for word in words.split():
            kinds.setdefault(term(word), set()).add(kind)
    return {word: frozenset(found) for word, found in kinds.items()}


_KIND_OF: Final = _members(_KINDS)
KIND_NAMES: Final = {term(line.partition(":")[0]): line.partition(":")[0] for line in _KINDS.strip().splitlines()}
"""Term of the name of each kind -> kind."""


def kinds(one: str) -> frozenset[str]:
    """Kinds a term belongs to: "vim" -> {"editor"}."""
    return _KIND_OF.get(one, frozenset())


def kinds_of(terms: Iterable[str]) -> frozenset[str]:
    """Kinds that any of the terms belongs to."""
    return frozenset().union(*(_KIND_OF.get(one, frozenset()) for one in terms))


_EACH_PHRASE: Final = [(re.compile(f"{key}(?![\\w-])"), meaning) for key, meaning in _PHRASES.items()]
_ANY_PHRASE: Final = re.compile(
    r"(?<![\w@-])(?:" + "|".join(re.sub(r"(?<!\\)\((?!\?)", "(?:", key) for key in _PHRASES) + r")(?![\w-])"
)
# Without groups of its own, so that the engine can pass over an alternative by its first letter.


def with_plain_phrases(text: str) -> str:
    """A text in small letters with turns of phrase and abbreviations in the plain words they stand for."""
    plain = _ANY_PHRASE.sub(_plain_phrase, text)
    return plain if plain == text else _ANY_PHRASE.sub(_plain_phrase, plain)


def _plain_phrase(match: re.Match[str]) -> str:
    for pattern, meaning in _EACH_PHRASE:
        found = pattern.match(match.string, match.start())
        if found and found.end() == match.end():
            return found.expand(meaning)
    return match.group()


def alternatives(one: str) -> tuple[str, ...]:
    """Words that statements against one with this term may use: of its meaning, opposite to it, or of its kinds."""
    return _ALTERNATIVES.get(one, ())


def _all_alternatives() -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for table in (_SAME, _OPPOSITES, _KINDS):
        for line in table.strip().splitlines():
            words = line.partition(":")[2].split() or line.split()
            for word in words:
                found.setdefault(term(word), {}).update(dict.fromkeys(words))
    for one, other in OPPOSITE_VERBS.items():
        found.setdefault(term(other), {})[one] = None
    for verb, words in (("live", "moved relocated"), ("work", "joined left quit"), ("have", "sold lost")):
        found.setdefault(term(verb), {}).update(dict.fromkeys(words.split()))
    return {one: tuple(words) for one, words in found.items()}


_ALTERNATIVES: Final = _all_alternatives()
