"""Make the preset dictionary that new databases compress their first blobs with.

    python scripts/build_dictionary.py VOCAB.TXT [--check]

VOCAB.TXT is the word list of the English uncased BERT models (Google, 2018, Apache License 2.0), 30,522 lines, whole
words in order of frequency from line 1,997 on. Everything else in the dictionary was written for this project and
stands below. The same input gives the same bytes on every machine; `--check` compares instead of writing.

Deflate prefers near matches: the dictionary ends with what is met most often. From far to near it holds the words, the
phrases, the openings of observations, and the first bytes of the pickle of an entity.
"""

import argparse
import hashlib
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from enhanced_memory.store.sqlite.codec import DICTIONARY_BYTES, LINE_END, LINE_START, PICKLE_STARTS

TARGET = Path(__file__).parents[1] / "enhanced_memory" / "store" / "sqlite" / "data" / "words-1.dict"
VOCABULARY_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
FIRST_WORD = 1996
"""Index of "the": what stands before it are markers and single characters."""

NAMES = """
Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May June July August September
October November December New York San Francisco Los Angeles Boston Chicago Seattle Austin Denver Toronto Vancouver
London Paris Berlin Munich Amsterdam Madrid Barcelona Rome Lisbon Dublin Vienna Zurich Stockholm Copenhagen Oslo Tokyo
Singapore Sydney Melbourne Mumbai Bangalore Hong Kong United States America Canada Mexico Brazil England Ireland
Scotland Germany France Spain Italy Portugal Poland Sweden Norway Netherlands Switzerland Australia India China Japan
Korea Europe Africa Asia California Texas Florida English Spanish French German Italian Japanese Chinese American
British Christmas Thanksgiving Easter Halloween Alice Andrew Anna Anthony Ben Brian Carlos Charlie Chris Christopher
Claire Daniel David Elena Elizabeth Emily Emma Eric George Grace Hannah Henry Jack James Jane Jason Jennifer Jessica
Joseph Joshua Julia Karen Katherine Kevin Laura Linda Lisa Lucas Lucy Maria Mark Martin Matthew Michael Nicole Oliver
Olivia Patricia Paul Peter Rachel Rebecca Richard Robert Ryan Samantha Samuel Sarah Sophia Sophie Stephen Steven Susan
Thomas William Google Microsoft Amazon Apple Facebook Netflix YouTube Instagram Twitter LinkedIn Slack Zoom Spotify
Wikipedia OpenAI Anthropic Claude ChatGPT Gemini Copilot Linux Ubuntu Debian Windows macOS Android iPhone iOS MacBook
Python JavaScript TypeScript Java Kotlin Swift Rust Go C++ Ruby PHP HTML CSS SQL JSON YAML TOML XML CSV Markdown React
Next.js Vue Angular Svelte Node.js Express Django Flask FastAPI Spring Rails Laravel PostgreSQL MySQL SQLite MongoDB
Redis Elasticsearch Kafka RabbitMQ Docker Kubernetes Terraform Ansible Jenkins GitHub GitLab Bitbucket AWS Azure GCP
Lambda S3 Vercel Netlify Heroku Cloudflare Nginx Apache Grafana Prometheus Sentry Datadog Stripe PayPal Jira Confluence
Notion Figma Obsidian VS Code PyCharm IntelliJ Vim Neovim Emacs Jupyter NumPy pandas PyTorch TensorFlow scikit-learn
LangChain Pydantic SQLAlchemy pytest mypy ruff black poetry conda npm pnpm yarn webpack Vite ESLint Prettier Jest
Playwright Cypress Tailwind Bootstrap GraphQL REST gRPC WebSocket OAuth JWT SSL TLS HTTPS DNS VPN SSH CLI GUI API SDK
IDE LLM GPU CPU RAM CI/CD MCP RAG PDF README CHANGELOG TODO FIXME localhost 127.0.0.1 0.0.0.0 https://www. https://
http:// github.com/ .com/ .org .io .md .py .js .ts .json .yaml .toml .txt .log .env .git /home/ /usr/local/bin /etc/
/var/log/ /src/ src/ tests/ docs/ config/ scripts/ 2019 2020 2021 2022 2023 2024 2025 2026 2027 2026-01- 2026-02-
2026-0 2025-1 2025-0 2024-1 2024-0 T00:00:00Z T09:00:00 10:00 AM 3:00 PM 12:00 UTC $100 $1,000 10,000 50,000 100% 50%
"""
"""Names keep their capitals, which the vocabulary has lost."""

WORDS = """
abroad advice afford afraid agent album allergic allergies amazing anniversary apartment app apply appointment
appreciate archive argument artwork assistant async attend authentication authorization awesome backend backup baking
balance basketball batch beautiful because bedroom behavior believe benchmark bicycle birthday blog boyfriend branch
breakfast browser budget bug bugs build builds cache caching calendar camera camping career challenge challenges
charity chat checkout chicken childhood children chocolate class cleanup client clients climbing clinic clothes
cluster coding coffee colleague colleagues collect college column command comment commit commits compatible complete
completed component config configuration configured confirm conflict connection constraint container contract
conversation cooking costume counselor country course coworker creative credentials currency customer customers
cycling daily dance dancing dashboard data database dataset date daughter deadline debug decision default delete
delicious dependencies dependency deploy deployed deployment deprecated design designer desktop details developer
development diet dinner directory disabled discount discuss doctor documentation documents dog domain download draft
drawing dream drink driving dynamic easier editor education effort email embedding enabled encoding encrypted
encryption endpoint endpoints energy engineer engineering enjoy enough environment error errors estimate event
everyone everything exactly example exams excellent exception exciting exercise expense expensive experience explore
export expression family fantastic fantasy father favorite feature features feedback feeling festival field file
filename files finance fishing fitness fixed flag flight folder football format framework frequently friend friends
frontend frustrated function functions furniture future gallery game games garden gardening generate gift girlfriend
gluten goals going graduate graduation grateful groceries grocery guest guitar gym handle happiness happy headache
health healthy helpful hiking hobbies hobby holiday homework honest hospital hotel house hundred husband idea
implementation important improve include index info input inspired install installed instance instead instrument
insurance integration interest interested interesting interface internet internship interview invoice issue issues
jazz job journal journey keyboard keys kids kitchen knowledge language laptop latency latest laundry lawyer learn
learned learning lesson library license listen literature login loved lunch machine manager marathon marketing married
massage mathematics maximum meal meaningful meditation meeting meetings memories memory mentor menu message messages
metrics middleware migration milestone minimum minutes mobile module monitor monitoring month monthly mortgage mother
motivated motorcycle mountain movie movies museum music namespace nearby neighborhood nervous network newsletter noise
notebook notes notification notifications novel number nurse nutrition offer office okay online opinion option
optional options organization organize output outdoor outdoors overview package packages painting pancakes paperwork
parents parser parsing partner partnership passion password pasta patch patient payment people perfect performance
permission permissions personal pet phone photo photography photos physical piano picture pipeline pizza planning
platform playing podcast poetry police policy popular portfolio positive possible postponed pottery practice
preference preferences preferred pregnant presentation pretty previous price priority privacy private probably problem
process product production professional profile programming project projects promotion proposal protein protocol
provider prototype puppy purchase python quality quarter quarterly query question questions queue quickly rate
readable reading realize really receive recently recipe recipes recommend record recovery refactor regression regular
relationship release reliable relocate reminder remote rename rent repository request requests required requirement
research reservation resolved response restaurant restaurants result results retirement retrieval review reviews
rollback rollout router routine running runtime salary sandwich schedule scheduled schema school scientist screen
script scripts search season secret security self-care semester senior sensitive serialization server servers service
services session sessions settings share shopping sibling simple sister skills sleep snack snapshot social software
solution someone something sometimes son soon sorry source spending spreadsheet sprint stack staging standard startup
status storage strategy stress stressful string strong struggling student students studio study studying stuff subject
subscription successful summary summer support surgery surprise survey sushi swimming sync syntax system systems table
tasks teacher teaching team template temperature tennis terminal test testing tests text thank thanks theme therapist
therapy thinking thread ticket tickets time timeline timeout timestamp timezone title today together token tokens
tomorrow tools topic tour tournament track tradition traffic training travel traveling treatment trip trips trouble
tutorial tutor type university update updated updates upgrade upload used useful user username users usually utility
vacation validate validation value values variable variables vegan vegetables vegetarian vendor version versions video
videos village visit vitamin volunteer volunteering waiting walking warning weather website wedding weekend weekly
weight welcome wife window winter without wonderful work worker workflow working workout workshop workspace worried
worth write writing yesterday yoga
"""
"""Words of daily life and of software that the vocabulary ranks lower than a memory meets them."""

PHRASES = """
a couple of years ago|a few months ago|a lot of time|a new version of|a member of the|according to the|after work|
all of the|along with|and it is|and the|and their|and wants to|are not|as a result|as a way to|as part of the|
as soon as possible|as well as|at home|at least|at the end of the|at the moment|at the same time|at the university|
back to the|based on the|because it is|because of the|because the|been working on|before the end of|best friend|
by default|by the end of the year|by using|can be used to|cannot be|come from|could not|data structures|day of the week|
did not|does not like|does not want|does not work|doesn't|don't|due to|during the|each other|end-to-end tests|
environment variable|error message|even though|every day|every morning|every week|feature flag|feels like it|
first time|for a long time|for a while|for example|for her|for his|for the first time|for the new|for their|
friends and family|from the|full-time|going to|good at|graduated from|had to|happy with the|has a|has already been|
has been|has not|has two children|have been|he is|high school|home office|how to|if it is|if the|in a|in addition to|
in favor of|in front of|in her|in his|in order to|in production|in progress|in the future|in the morning|in the past|
in the process of|in their|in touch with|instead of|interested in|into the|is a big fan of|is a member of the|
is able to|is allergic to|is an|is based on|is also|is currently working on|is excited about|is going to|
is grateful for|is interested in|is located in|is looking for|is looking forward to|is not|is part of the|
is planning to|is proud of|is required|is responsible for|is scheduled for|is still|is stored in|is the|is used for|
is used to|is very|is working on a|it is|it was|it's|keep in mind|kind of|last week|last year|learning how to|less than|
looking forward to|lots of|machine learning|make sure that|makes it|may be|member of|mental health|more than|
most important|most of the|moved to|must be|must not|named after|near the|needs to be|never use|next month|next week|
next year|no longer|not only|not yet|of her|of his|of its|of the|of their|on a regular basis|on the|on top of|
on weekends|one of the|open source|or the|other people|out of the|over the|parental leave|part of the|per month|
planning a trip to|playing video games|project manager|pull request|quality of life|rather than|ready for|
reading books|related to|responsible for|root cause|security review|set up|should be|should not be|
significant other|since then|so far|so that|software engineer|some of the|spend time with|spending time with|
started working|such as|take care of|team members|tends to|than the|thank you for|that are|that he|that is|that she|
that the|that they|that was|the best|the current|the default|the fact that|the first|the following|the last|the most|
the new|the next|the old|the one|the other|the rest of the|the same|the team|the two|the user's|their own|there are|
there is|they are|this is|this week|this year|through the|time zone|to avoid|to be|to buy a|to do|to find|to get|
to have|to help|to improve|to keep|to learn|to make|to see|to share|to take|to the|to use|to work|trying to|under the|
unit tests|until the|up to|used to|user interface|using the|version control|video game|wants to be|was a|was not|
was the|well as|went to the|were not|when the|where the|which is|while the|who has|who is|will be|with a|with an|
with friends|with her|with his|with the|with their|within the|work on the|would be|would like to|years ago|years old
"""
"""Runs of words inside an observation."""

OPENINGS = """
A |About |After the |Agreed to |All |Allergic to |Always |An |And |Asked |Asked for |At |Attended |Based in |
Because of |Before |Believes that |Birthday: |Born in |Bought |Bug: |Built |By |Can |Cannot |Completed |
Concerned about |Configured |Considering |Contact: |Created |Currently |Currently working on |Deadline is |
Decided not to |Decided on |Decided to |Decision: |Deployed |Does not |Does not like |Don't |Each |Email: |Enjoys |
Enjoys hiking |Expects |Father of |Favorite |Fixed |For |From |Goal: |Got |Graduated from |Had |Has |Has a |Has been |
Has two |Hates |He |He has |Her |His |How |I |I'm |If |Important: |In |Interested in |Is |Is a |Issue: |It |It is |
Joined |Keeps |Knows |Last |Learning |Likes |Likes to |Lives in |Located at |Looking for |Loves |Made |Main |
Married to |Mentioned |Met |Migrated |Mother of |Moved from |Moved to |Must |My |Name is |Needs |Needs to |Never |
New |No |Not |Note: |On |One |Only |Originally from |Our |Owns |Owns a |Plans to |Planning to |Please |Possible |
Prefers |Prefers the |Prefers to |Previously |Project |Reason: |Recently |Remember |Remember to |Reported |Requested |
Requires |Responsible for |Said |Says that |Session |Set |She |She has |Should |Since |So |Some |Speaks |Started |
Status: |Still |Studied |Studies |Studying |Summary: |Switched to |Task: |Team |Tests |That |The |The API |
The application |The build |The client |The code |The company |The current |The customer |The database |The family |
The file |The first |The goal is to |The main |The meeting |The new |The next |The old |The problem |The project |
The project uses |The server |The service |The system |The team |The team decided to |The user |The user has |
The user is |The user likes |The user prefers |The user wants |The user's |Their |There is |They |They are |
Thinks that |This |This is |Tries to |Two |Updated |Use |Used to |User |User asked |User has |User is |User prefers |
User wants |User's |Uses |Uses the |Using |Usually |Version |Visited |Volunteers at |Wants |Wants to |Wants to learn |
Was |We |Weekly |Went to |When |Will |With |Worked at |Working on |Works as a |Works at |Works for |Works from home |
Works with |Would like to |You |Your |
"""
"""First words of an observation; the framing of the pickle comes with them."""


def frequent_words(vocabulary: list[str], taken: set[str]) -> list[str]:
    """Whole English words of the vocabulary, the most useful first.

    Use is estimated as Zipf's law has it, frequency 1 / rank, times what one match saves: the letters and both spaces,
    8 bits each, less 25 bits for the match; per byte that the word takes in the dictionary.
    """
    ranked = [
        (-(8 * (len(word) + 2) - 25) / (rank * (len(word) + 1)), word)
        for rank, word in enumerate(vocabulary[FIRST_WORD:], 1)
        if re.fullmatch("[a-z]{3,}", word) and word not in taken
    ]
    return [word for _, word in sorted(ranked)]


def build(vocabulary: list[str]) -> bytes:
    """The dictionary, `DICTIONARY_BYTES` long: as many words as fit before the hand-written part."""
    phrases = [phrase for line in PHRASES.split("\n") for phrase in line.strip().split("|") if phrase]
    openings = [opening for line in OPENINGS.split("\n") for opening in line.split("|") if opening]
    own = " ".join([*NAMES.split(), *WORDS.split(), *phrases]).encode() + b" "
    starts = b"".join(b"." + LINE_END + LINE_START + opening.encode() for opening in openings) + PICKLE_STARTS
    words = " ".join(reversed(frequent_words(vocabulary, set(WORDS.split())))).encode() + b" "
    return (words + own + starts)[-DICTIONARY_BYTES:]


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the preset dictionary of the store's codec.")
    parser.add_argument("vocabulary", type=Path, help="vocab.txt of the English uncased BERT models")
    parser.add_argument("--check", action="store_true", help="compare with the shipped file instead of writing it")
    arguments = parser.parse_args()
    text = arguments.vocabulary.read_bytes()
    if hashlib.sha256(text).hexdigest() != VOCABULARY_SHA256:
        parser.error("this is another vocabulary than the shipped dictionary was made from")
    dictionary = build(text.decode().split("\n"))
    if arguments.check:
        same = TARGET.read_bytes() == dictionary
        print("same" if same else "different")
        return 0 if same else 1
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_bytes(dictionary)
    print(f"{TARGET.name}: {len(dictionary)} bytes, sha256 {hashlib.sha256(dictionary).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
