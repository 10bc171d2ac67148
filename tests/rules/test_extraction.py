"""Facts, told from talk in many layouts."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhanced_memory.rules.extraction import Fact, extract
from enhanced_memory.rules.sentences import MAX_SENTENCE, split_sentences


def told(text: str) -> list[str]:
    """The observations found in a text."""
    return [fact.text for fact in extract(text)]


def only(text: str) -> Fact:
    """The one fact a text states."""
    (fact,) = extract(text)
    return fact


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("always run the linter before committing", "rule"),
        ("don't use tabs", "rule"),
        ("Commit messages should be written in English.", "rule"),
        ("Could you from now on answer in Dutch?", "rule"),
        ("we deploy from main on Thursdays", "usage"),
        ("Our backend is written in Elixir.", "usage"),
        ("actually, use pnpm not npm", "decision"),
        ("We decided to keep the old queue.", "decision"),
        ("I prefer oat milk.", "preference"),
        ("I can't stand long meetings.", "preference"),
        ("The export needs to work without a network.", "requirement"),
        ("My name is Ines.", "identity"),
        ("I'm a beekeeper in Lugo.", "identity"),
        ("We're going to open a second shop in March.", "plan"),
        ("I sold my bicycle yesterday.", "event"),
    ],
)
def test_a_plain_statement_is_a_fact_of_its_kind(sentence: str, kind: str) -> None:
    assert only(sentence).kind == kind


@pytest.mark.parametrize(
    "sentence",
    [
        "Do you always run the linter?",
        "how do I revert a commit",
        "Thanks, that was really helpful!",
        "Wow, that's amazing, congrats!",
        "If I had the time, I would rewrite it.",
        "Maybe we could use a cache here.",
        "You should try the new version.",
        "Fix the typo in the second paragraph.",
        "I want you to add a test.",
        "I love it, thank you.",
        "Never mind.",
        "No problem at all.",
        "Don't worry about it.",
    ],
)
def test_talk_is_no_fact(sentence: str) -> None:
    assert told(sentence) == []


def test_words_count_whole_and_not_as_parts_of_others() -> None:
    assert told("user: because the house was unlikely") == []


@pytest.mark.parametrize(
    ("line", "speaker", "date"),
    [
        ("Caroline: {}", "Caroline", None),
        ("user: {}", "user", None),
        ("Human: {}", "Human", None),
        ("**Ann:** {}", "Ann", None),
        ("**Ann**: {}", "Ann", None),
        ("- Ann: {}", "Ann", None),
        ("Ann Lee (PM): {}", "Ann Lee", None),
        ("[10:31] Bob: {}", "Bob", None),
        ("<bob> {}", "bob", None),
        ("[10:31] <bob> {}", "bob", None),
        ("[2024-05-01 10:31:22] Bob: {}", "Bob", "2024-05-01"),
        ("2024-05-01T10:31:22Z bob: {}", "bob", "2024-05-01"),
        ("5/8/23, 10:31 PM - Bob Smith: {}", "Bob Smith", "5/8/23"),
        ("8 May 2023 Ann: {}", "Ann", "8 May 2023"),
        ("### User\n{}", "User", None),
        ("User:\n{}", "User", None),
        ("<|im_start|>user\n{}", "user", None),
        ("Bob  10:31 AM\n{}", "Bob", None),
        ("--- Monday, May 8, 2023 ---\nAnn: {}", "Ann", "Monday, May 8, 2023"),
        ("1:56 pm on 8 May, 2023\nAnn: {}", "Ann", "8 May, 2023"),
        ("{}", None, None),
    ],
)
def test_speaker_and_date_are_kept_with_the_fact_in_every_layout(
    line: str, speaker: str | None, date: str | None
) -> None:
    fact = only(line.format("I moved to Oslo last year."))
    label = " ".join(part for part in (date, speaker and f"{speaker}:", "I moved to Oslo last year.") if part)
    assert (fact.speaker, fact.text) == (speaker, label)


@pytest.mark.parametrize(
    "line", ["Note: we use pnpm in this repo.", "ValueError: we use a bad value here", "https://we.use/pnpm always"]
)
def test_a_word_before_a_colon_that_names_nobody_is_no_speaker(line: str) -> None:
    assert all(sentence.speaker is None for sentence in split_sentences(line))


def test_json_messages_are_read_by_their_roles() -> None:
    messages = [
        {"role": "assistant", "content": [{"type": "text", "text": 'I always use "black".'}]},
        {"content": 'I prefer \u201ctea\u201d \U0001f600.\nWe never use "npm" here.', "role": "user"},
        {"role": "user", "content": [{"type": "tool_result", "content": "We always use tabs."}]},
    ]
    text = json.dumps({"messages": messages})
    facts = extract(text)
    assert [fact.text for fact in facts] == [
        "user: I prefer \u201ctea\u201d \U0001f600.",
        'user: We never use "npm" here.',
    ]
    assert [json.loads(f'"{text[slice(*fact.span)]}"') for fact in facts] == [
        fact.text.removeprefix("user: ") for fact in facts
    ]


def test_json_lines_are_read_as_one_conversation() -> None:
    lines = [{"speaker": "Ann", "text": "I moved to Oslo last year."}, {"speaker": "Bob", "text": "I live in Ghent."}]
    assert told("\n".join(map(json.dumps, lines))) == ["Ann: I moved to Oslo last year.", "Bob: I live in Ghent."]


def test_an_assistant_is_not_taken_at_its_word() -> None:
    assert told("user: hello\nassistant: I always use black. I prefer tabs. Never use npm.") == []


def test_a_bare_answer_keeps_its_question() -> None:
    fact = only("assistant: Which database do you use?\nuser: Postgres 15, managed by Neon.")
    assert fact.text == "user: Postgres 15, managed by Neon. (asked: Which database do you use?)"


def test_the_span_and_line_lead_back_to_the_sentence() -> None:
    text = "Ann: hi\nBob: Well, hello.\n  I moved to Oslo\n  last year. And you?"
    (fact,) = [fact for fact in extract(text) if "Oslo" in fact.text]
    assert (fact.line, text[slice(*fact.span)]) == (3, "I moved to Oslo")


def test_a_wrapped_paragraph_is_one_sentence() -> None:
    text = "Ann: I moved from the old flat at the harbour to a house with\na garden in May. Bye!"
    assert told(text) == ["Ann: I moved from the old flat at the harbour to a house with a garden in May."]


def test_abbreviations_numbers_and_asides_end_no_sentence() -> None:
    text = "Ann: I met Dr. Lee at 5 p.m. near e.g. St. Louis [shared a photo of a bridge]. Ok."
    said = [sentence.text for sentence in split_sentences(text)]
    assert said[0].startswith("I met Dr. Lee at 5 p.m. near e.g. St. Louis")
    assert not any("photo" in sentence for sentence in said)


@pytest.mark.parametrize("end", ["", "."])
def test_a_number_in_a_circle_ends_no_sentence_and_a_smile_does(end: str) -> None:
    said = [
        sentence.text
        for sentence in split_sentences(f"I work at gate \u2776 of the harbour \U0001f600 We live here{end}")
    ]
    assert said == ["I work at gate \u2776 of the harbour \U0001f600", f"We live here{end}"]


def test_a_smile_after_a_bullet_ends_no_sentence() -> None:
    assert [sentence.text for sentence in split_sentences("- \U0001f600 I moved to Oslo.")] == [
        "\U0001f600 I moved to Oslo."
    ]


@pytest.mark.parametrize("talk", ["Dr: I moved to Oslo.\nDr: I like it.", "INFO: I moved to Oslo.\nINFO: I like it."])
def test_a_name_means_the_same_on_each_line_it_heads(talk: str) -> None:
    first, second = (split_sentences(line)[0:1] for line in talk.split("\n"))
    assert [one.speaker for one in split_sentences(talk)] == [one.speaker for one in (*first, *second)]


def test_a_sentence_without_end_is_cut() -> None:
    parts = split_sentences("so I went home and " * 100)
    assert len(parts) > 1
    assert all(len(part.text) <= MAX_SENTENCE for part in parts)


@pytest.mark.parametrize(
    "text",
    [
        "```\nWe always use tabs.\n```",
        "user: see ```\nWe always use tabs.",
        "> We always use tabs.",
        "$ always run the linter",
        "ERROR we always use tabs",
        'const rule = "we always use tabs";',
    ],
)
def test_code_and_quotations_are_no_facts(text: str) -> None:
    assert told(text) == []


def test_an_open_code_block_ends_where_the_next_role_speaks() -> None:
    assert told("user: look ```\nWe always use tabs.\nuser: I live in Ghent.") == ["user: I live in Ghent."]


@pytest.mark.parametrize(
    "text",
    [
        "I live in <private>Ghent</private>.",
        "I live in <PRIVATE>Ghent</Private> and work in Bruges.",
        "I live in <private>a <private>b</private> Ghent</private>.",
        "<private>I live in Ghent.",
        "I live in Ghent.</private>",
        "I live in < private >Ghent</ private >.",
        "I live in &lt;private&gt;Ghent&lt;/private&gt;.",
        '<private reason="x">\nI live in Ghent.\n</private>',
        json.dumps({"role": "user", "content": "I live in <private>Ghent</private>."}),
        '{"role": "user", "content": "I live in \\u003cprivate\\u003eGhent\\u003c/private\\u003e."}',
    ],
)
def test_nothing_private_is_read_even_in_part(text: str) -> None:
    assert told(text) == []


def test_what_stands_beside_a_private_passage_is_read() -> None:
    assert told("<private>Ghent.</private> I prefer tea. <private>x</private>\nI live in Bruges.") == [
        "I prefer tea.",
        "I live in Bruges.",
    ]


@pytest.mark.parametrize(
    ("sentence", "negated"),
    [
        ("We don't use Docker in production.", True),
        ("Never log customer names.", True),
        ("I no longer eat meat.", True),
        ("actually, use pnpm not npm", False),
        ("I live in Ghent.", False),
    ],
)
def test_denials_and_bans_are_negated(sentence: str, negated: bool) -> None:
    assert only(sentence).negated is negated


def test_a_fact_told_twice_comes_once_per_speaker() -> None:
    text = "Ann: I live in Ghent.\nAnn: i live in ghent!\nBob: I live in Ghent."
    assert [fact.text for fact in extract(text, threshold=0)] == ["Ann: I live in Ghent.", "Bob: I live in Ghent."]


def test_facts_that_differ_in_a_sign_only_are_two() -> None:
    assert told("user: We use C++ here.\nuser: We use C# here.") == ["user: We use C++ here.", "user: We use C# here."]


PIECES = """
Ann: |user: |I live in Ghent.|We never use npm|always squash|?|!|<private>|</private>|```|[10:31] Bob: |8 May 2023
Which one?|{"role": "user", "content": "|"}|\\n|\u2026|\U0001f600| |   |- |Dr. |3.5|Thanks!
""".replace("\n", "|").split("|")
ANYTHING = st.sampled_from([*PIECES, "\n", "Which one?\n"]) | st.text(max_size=20)
CONVERSATIONS = st.lists(ANYTHING, max_size=40).map("".join)


@given(CONVERSATIONS)
def test_facts_lie_in_order_within_any_text(text: str) -> None:
    facts = extract(text, threshold=0)
    spans = [fact.span for fact in facts]
    assert spans == sorted(spans)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(fact.line == text.count("\n", 0, fact.span[0]) + 1 for fact in facts)
    assert len({(fact.speaker, fact.text.lower()) for fact in facts}) == len(facts)


@given(CONVERSATIONS)
def test_a_higher_threshold_only_leaves_facts_out(text: str) -> None:
    every = extract(text, threshold=0)
    assert extract(text, threshold=0.7) == [fact for fact in every if fact in extract(text, threshold=0.7)]
    assert all(fact.confidence >= 0.695 for fact in extract(text, threshold=0.7))


@given(CONVERSATIONS, CONVERSATIONS, st.sampled_from(["<private>", "<Private >", "<private id='1'>"]))
def test_a_private_word_is_in_no_fact_whatever_stands_around(before: str, after: str, tag: str) -> None:
    text = f"{before}{tag}\nuser: I live in Xyzzyville.</private>{after}"
    assert not any("yzzy" in fact.text for fact in extract(text, threshold=0))
