"""Lists of words, small and everyday: what people's memories and software projects speak of.

Above it lie `rules.meanings`, which makes terms of them, and `rules.claims`; below it nothing.
"""

from __future__ import annotations

from typing import Final


def words_of(text: str) -> frozenset[str]:
    """The words of a text with spaces between them."""
    return frozenset(text.split())


_IRREGULAR: Final = """
went:go gone:go goes:go bought:buy sold:sell left:leave lost:lose met:meet ate:eat eaten:eat
drank:drink drunk:drink drove:drive driven:drive ran:run wrote:write written:write spoke:speak spoken:speak
built:build taught:teach began:begin begun:begin grew:grow grown:grow sent:send kept:keep held:hold paid:pay
gave:give given:give took:take taken:take got:get gotten:get made:make done:do did:do does:do had:have has:have
was:be were:be is:be are:be am:be been:be being:be rose:rise risen:rise fell:fall fallen:fall chose:choose
chosen:choose broke:break broken:break quit:quit read:read knew:know known:know thought:think saw:see seen:see
swam:swim rode:ride ridden:ride wore:wear worn:wear won:win felt:feel told:tell said:say became:become
came:come hid:hide hidden:hide slept:sleep sang:sing sung:sing stood:stand found:find died:die dying:die
lying:lie woke:wake woken:wake rewrote:rewrite rewritten:rewrite spent:spend children:child kids:kid
people:person men:man women:woman feet:foot teeth:tooth mice:mouse wives:wife lives:live moved:move
data:data media:media
"""
IRREGULAR: Final = dict(form.split(":") for form in _IRREGULAR.split())
"""Form -> base of verbs and nouns that do not follow the rules."""

SAME: Final = """
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
daughter girl
son boy
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

OPPOSITES: Final = """
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
upstairs downstairs
indoors outdoors
upstream downstream
front back
inner outer
wired wireless
spicy mild
tight loose
shallow deep
polite rude
messy neat
smooth rough
crowded empty
strict relaxed
noisy silent
like fear
modern old-fashioned
"""
"""Pairs that cannot both hold of one thing."""

KINDS: Final = """
database: mysql postgresql sqlite mongodb mariadb oracle redis cassandra dynamodb cockroachdb mssql duckdb couchdb
database: firestore
cache: redis memcached
queue: kafka rabbitmq sqs nats celery pulsar
shell: zsh bash fish powershell tcsh nushell
editor: vim neovim emacs vscode sublime_text intellij pycharm nano atom webstorm zed notepad eclipse xcode helix
editor: cursor
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
language: python java kotlin go rust javascript typescript ruby php swift scala haskell perl elixir clojure cobol
language: fortran c_plus_plus c_sharp
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
profession: teacher nurse doctor lawyer engineer developer designer writer chef cook architect accountant plumber
profession: electrician pilot journalist dentist scientist musician actor farmer pharmacist photographer librarian
profession: barista consultant analyst carpenter translator manager director administrator researcher paramedic
profession: adviser advisor intern apprentice tester recruiter salesperson secretary professor lecturer butcher baker
profession: firefighter policeman soldier vet veterinarian tailor gardener mechanic editor freelancer student retiree
diet: vegetarian vegan pescatarian omnivore carnivore keto
marital: single married divorced engaged widowed
nationality: german french spanish italian american british canadian polish dutch swedish norwegian danish finnish
nationality: russian chinese japanese indian brazilian mexican irish portuguese greek turkish korean australian
nationality: austrian swiss english
city: paris london berlin madrid rome lisbon warsaw vienna prague munich hamburg oslo bergen stockholm copenhagen
city: helsinki amsterdam brussels dublin zurich geneva milan barcelona valencia lyon porto athens budapest new_york
city: los_angeles san_francisco chicago boston seattle austin toronto vancouver tokyo osaka seoul beijing shanghai
city: singapore sydney melbourne delhi mumbai denver miami
country: germany france spain italy usa uk canada poland netherlands sweden norway denmark finland russia china japan
country: india brazil mexico ireland portugal greece turkey korea australia austria switzerland belgium england
country: scotland peru
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
carmaker: toyota ford honda bmw audi volvo tesla mercedes volkswagen renault skoda mazda hyundai kia fiat nissan
carmaker: subaru peugeot
sport: tennis football soccer basketball chess golf rugby cricket badminton volleyball hockey
instrument: guitar piano violin cello drums flute trumpet saxophone
"""
"""Kinds of things and what belongs to them: of two of one kind, a place for one thing holds one."""

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
VERBS: Final = """
accept ache achieve add adjust admire adopt advise agree aim allow annotate announce answer appear apply appoint
approve argue arrange arrive ask assign attach attend attest authenticate authorize avoid bake ban be become begin
believe belong block boil book borrow break brew bring broadcast browse build bump bundle burn buy cache call cancel
care carry celebrate change charge check choose clean climb close coach code collect combine come comment commit
commute compare compile complain complete compose configure confirm connect consider consist construct consult contain
continue contribute convert cook cost count cover crash create cycle dance date debug decide declare decline decode
decorate decrease defend define delegate delete deliver depend deploy deprecate describe design destroy develop die
dig disable disappear discard discharge discover discuss dislike display distribute distrust divide divorce do
document donate double download draw drink drive drop dwell earn eat employ enable encode encourage encrypt enforce
enjoy enroll enter establish evaluate evict exceed exclude execute exist expand expect expire explain expose extend
fail fall favor fear feel fetch find finish fit fix float fly follow forbid forget fork format forward gain generate
get give go govern graduate grant grow halve handle hang happen hate have heal help hide hire hold hope host hunt
identify ignore implement import improve include increase indent indicate inform inherit inspect install integrate
intend invest invite invoke involve iterate jog join jump keep kick knit know lack land last launch learn leave lend
lie lift like limit lint list listen live load loathe locate lock log lose love lower maintain make manage marry
measure meet mention mentor merge migrate mind mock monitor motivate move name need negotiate nest obtain occupy occur
offer omit open operate oppose optimize order organise organize outsource oversee own paint parse participate pass pay
perform permit pick pin plan play possess postpone practice pray prefer prepare preserve prevent produce profile
prohibit promote propose protect prove provide publish pull purchase push put query quit raise reach react read
realise realize rebase receive recommend record recover recruit redesign reduce refactor refer refuse reject relax
release rely remain remember remind remove rename render renew rent repair replace reply report represent require
reschedule rescue reserve reside resign resist resolve respond rest restart restore restrict resume retire retry
return reveal revert review revoke rewrite ride rise rotate run sail satisfy say scale schedule see seek select sell
send serialize serve set settle sew share shift ship shop shorten show shrink sign sing sink sit skip sleep slip smoke
solve sort speak specialise specialize spend split sponsor squash stand start stay steal stop store study submit
subscribe succeed suffer suggest supervise support surf survive suspect swap swim switch synchronise synchronize tag
take talk teach tell terminate test throttle throw time tolerate trace track trade train transfer transform translate
travel trigger triple trust try turn understand update upgrade upload use validate vanish verify visit volunteer wait
wake walk want warn wash watch wear weigh win wish work worry wrap write
"""
"""Verbs by which statements are taken apart."""
