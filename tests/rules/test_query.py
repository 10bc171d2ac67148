"""The query language."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from enhanced_memory.rules.query import Filter, Query, Term, parse, resolve_time

NOW = "2024-05-15T12:00:00.000000Z"
PIECES = st.sampled_from(
    [
        '"',
        "-",
        "*",
        " ",
        ":",
        "type:",
        "since:2w",
        "until:",
        "tier:semantic",
        "a",
        "tea",
        "NEAR(",
        "AND",
        "^",
        "{",
        "\0",
        "東",
        "?",
    ]
)
QUERIES = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=14).map("".join))


def texts(terms: tuple[Term, ...]) -> list[str]:
    return [term.text for term in terms]


@given(QUERIES)
@example("\ud800")
def test_no_query_is_wrong_and_every_term_has_tokens(query: str) -> None:
    tree = parse(query)
    for term in tree.words + tree.phrases + tree.excluded + tree.prefixes:
        assert term.tokens
        assert all(token.isalnum() or not token.isascii() for token in term.tokens)
    assert all(each.key in ("type", "tier", "since", "until") and each.value for each in tree.filters)


@given(st.text(alphabet=st.characters(categories=["Lu", "Ll", "Nd"]), min_size=1, max_size=20))
def test_a_plain_word_is_a_word(word: str) -> None:
    tree = parse(word)
    assert tree.words or tree.prefixes
    assert (tree.phrases, tree.excluded, tree.filters) == ((), (), ())


def test_each_kind_of_term_goes_to_its_place() -> None:
    tree = parse('pot "green tea" -coffee -"iced tea" ado* type:person tier:Semantic since:2w until:"2024-05-01"')
    assert tree == Query(
        words=(Term("pot", ("pot",)),),
        phrases=(Term("green tea", ("green", "tea")),),
        excluded=(Term("coffee", ("coffe",)), Term("iced tea", ("ice", "tea"))),
        prefixes=(Term("ado", ("ado",)),),
        filters=(
            Filter("type", "person"),
            Filter("tier", "semantic"),
            Filter("since", "2w"),
            Filter("until", "2024-05-01"),
        ),
    )
    assert tree.tokens == ("pot", "green", "tea")
    assert tree.values("type") == ["person"]
    assert tree.values("until") == ["2024-05-01"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("type: person", ["type:", "person"]),
        ("since:never", ["since:never"]),
        ("tier:1", ["tier:1"]),
        ("colour:blue", ["colour:blue"]),
        ('colour:"dark blue"', ['colour:"dark', 'blue"']),
        ("-5 - --flag", ["-5", "--flag"]),
        ('"open quote', ['"open', "quote"]),
        ('5" 7"', ['5"', '7"']),
        ("a* **bold**", ["**bold**"]),
        ("tea AND NEAR(pot) ^x", ["tea", "NEAR(pot)", "^x"]),
    ],
)
def test_what_only_looks_like_syntax_is_words(query: str, words: list[str]) -> None:
    tree = parse(query)
    assert texts(tree.words) == words
    assert (tree.phrases, tree.excluded, tree.prefixes, tree.filters) == ((), (), (), ())


def test_what_looks_like_a_filter_but_has_no_value_that_could_be_one_is_noted() -> None:
    assert parse('tea since:foo Tier:gold until:"last spring"').unread == (
        "since:foo",
        "Tier:gold",
        'until:"last spring"',
    )
    assert parse("tea since:7d tier:working colour:blue type:any http://x -since:foo").unread == ()


def test_stop_words_are_left_out_unless_nothing_else_was_typed() -> None:
    assert texts(parse("what did the cat do").words) == ["cat"]
    assert texts(parse('"green tea" for the').words) == []
    assert texts(parse("the who").words) == ["the", "who"]
    assert texts(parse("the who -band type:person").words) == ["the", "who"]


def test_quotes_in_a_question_are_words() -> None:
    tree = parse('When did Ann read "Green Tea"?')
    assert (texts(tree.words), tree.phrases) == (["Ann", "read", "Green", "Tea"], ())
    assert texts(parse('Ann read "Green Tea"').phrases) == ["Green Tea"]


def test_curly_quotes_are_quotes() -> None:
    assert texts(parse("\u201cgreen tea\u201d \u00abblack tea\u00bb").phrases) == ["green tea", "black tea"]


def test_a_code_may_be_typed_in_any_place() -> None:
    tree = parse("PRJ-00120/v3.1 -foo_bar PRJ-001*")
    assert tree.words[0].tokens == ("prj", "00120", "v3", "1", "prj00120v31")
    assert tree.excluded[0].tokens == ("foo", "bar")
    assert tree.prefixes[0].tokens == ("prj", "001")


def test_a_single_sign_of_a_script_without_spaces_is_a_prefix() -> None:
    assert parse("都") == Query(prefixes=(Term("都", ("都",)),))


def test_what_has_no_letters_asks_for_nothing() -> None:
    assert parse(' "" "!!" - * : \u2026 😀 ') == Query()


@pytest.mark.parametrize(
    ("value", "start", "end"),
    [
        ("7d", "2024-05-08T12:00:00.000000Z", "2024-05-08T12:00:00.000000Z"),
        ("2w", "2024-05-01T12:00:00.000000Z", "2024-05-01T12:00:00.000000Z"),
        ("30min", "2024-05-15T11:30:00.000000Z", "2024-05-15T11:30:00.000000Z"),
        ("12h", "2024-05-15T00:00:00.000000Z", "2024-05-15T00:00:00.000000Z"),
        ("1m", "2024-04-15T12:00:00.000000Z", "2024-04-15T12:00:00.000000Z"),
        ("1mo", "2024-04-15T12:00:00.000000Z", "2024-04-15T12:00:00.000000Z"),
        ("1Y", "2023-05-16T12:00:00.000000Z", "2023-05-16T12:00:00.000000Z"),
        ("today", "2024-05-15T00:00:00.000000Z", "2024-05-15T23:59:59.999999Z"),
        ("yesterday", "2024-05-14T00:00:00.000000Z", "2024-05-14T23:59:59.999999Z"),
        ("2024", "2024-01-01T00:00:00.000000Z", "2024-12-31T23:59:59.999999Z"),
        ("2024-02", "2024-02-01T00:00:00.000000Z", "2024-02-29T23:59:59.999999Z"),
        ("2024-12", "2024-12-01T00:00:00.000000Z", "2024-12-31T23:59:59.999999Z"),
        ("2024-05-01", "2024-05-01T00:00:00.000000Z", "2024-05-01T23:59:59.999999Z"),
        ("2024-05-01T10:30", "2024-05-01T10:30:00.000000Z", "2024-05-01T10:30:00.000000Z"),
        ("2024-05-01 10:30:00+02:00", "2024-05-01T08:30:00.000000Z", "2024-05-01T08:30:00.000000Z"),
        ("2024-05-01t10:30:00.25z", "2024-05-01T10:30:00.250000Z", "2024-05-01T10:30:00.250000Z"),
    ],
)
def test_times_mean_the_first_and_the_last_instant_of_what_they_name(value: str, start: str, end: str) -> None:
    assert resolve_time(value, NOW) == start
    assert resolve_time(value, NOW, end=True) == end


@pytest.mark.parametrize("value", ["", "x", "7", "7 days", "2024-13", "2024-02-30", "0000", "999999y", "tomorrow?"])
def test_what_is_no_time_is_none(value: str) -> None:
    assert resolve_time(value, NOW) is None
    assert resolve_time(value, NOW, end=True) is None


@given(st.text(max_size=12))
def test_any_time_resolves_to_an_instant_or_to_none(value: str) -> None:
    start, end = resolve_time(value, NOW), resolve_time(value, NOW, end=True)
    if start is not None and end is not None:
        assert timedelta(0) <= datetime.fromisoformat(end) - datetime.fromisoformat(start) < timedelta(days=367)
        assert len(start) == len(end) == len(NOW)
