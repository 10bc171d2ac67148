"""The ranking of observations and entities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhanced_memory.rules.query import parse
from enhanced_memory.rules.ranking import (
    CALLED,
    CANDIDATES,
    COUNTED,
    FILLING,
    LOOKED_UP,
    TIES,
    TOKENS,
    WHOLE,
    Count,
    Found,
    Place,
    Strip,
    choose_terms,
    read_line,
    read_title,
    score,
    tie_break,
    weigh,
)
from enhanced_memory.rules.text import analyse, subject_and_body

Store = Mapping[str, Sequence[str]]


def search(query: str, store: Store, *, conversation: bool = False, explain: bool = False) -> list[tuple[str, Found]]:
    """Score everything in a store of name -> observations; in a conversation, entities follow one another."""
    names = list(store)
    rows = [set(analyse(name)) for name in names]
    who: list[set[str]] = [set() for _ in names]
    for observations in store.values():
        for observation in observations:
            subject, body = subject_and_body(observation)
            rows.append({*subject, *body})
            who.append(set(subject))
    tokens = parse(query).tokens
    counts = {token: Count(sum(token in row for row in rows), sum(token in row for row in who)) for token in tokens}
    places = [
        [Place(key, index, read_line(observation)) for index, observation in enumerate(store[name])]
        for key, name in enumerate(names)
    ]
    strips = [Strip(key, each) for key, each in enumerate(places)]
    if conversation:
        strips = [Strip("talk", [place for each in places for place in each])]
    titles = {key: read_title(name, "thing", len(store[name])) for key, name in enumerate(names)}
    found = score(weigh(tokens, counts, len(rows)), strips, titles, explain=explain)
    return [(names[each.entity], each) for each in found]


def order(query: str, store: Store, *, conversation: bool = False) -> list[str]:
    return [name for name, _ in search(query, store, conversation=conversation)]


def talk(*lines: str) -> dict[str, list[str]]:
    return {f"m{number}": [line] for number, line in enumerate(lines)}


def test_rare_words_count_most() -> None:
    store = {"a": ["tea in a cup"], "b": ["tea in a glass"], "c": ["tea from a samovar"], "d": ["tea"]}
    assert order("tea samovar", store)[0] == "c"


def test_entities_without_a_word_of_the_query_are_left_out() -> None:
    assert order("tea", {"a": ["green tea"], "b": ["coffee"]}) == ["a"]
    assert order("zebra", {"a": ["green tea"], "b": ["coffee"]}) == []


def test_a_reply_is_found_by_the_words_of_the_question_before_it() -> None:
    store = talk("Ann: Where do you store the violin?", "Bob: In the attic, behind the boxes.", "Ann: Lunch at noon.")
    assert order("Where does Bob store the violin?", store, conversation=True)[0] == "m1"
    assert order("store violin", store, conversation=True)[:2] == ["m1", "m0"]
    assert order("store violin", store) == ["m0"]


def test_a_statement_outranks_the_same_words_asked() -> None:
    assert order("violin repair", talk("Ann: The violin is in repair.", "Bob: Is the violin in repair?"))[0] == "m0"


def test_a_neighbour_without_a_speaker_does_not_match_through_its_neighbours() -> None:
    (name, found), *rest = search("violin", {"a": ["Born in 1990", "plays the violin", "likes hats"]})
    assert (name, [match.position for match in found.matches], rest) == ("a", [1], [])


def test_nearer_neighbours_count_more_than_farther_ones() -> None:
    store = talk("Ann: It is late.", "Ann: So cold.", "Ann: The violin arrived.", "Ann: Cheers.", "Ann: Bye now.")
    scores = {name: found.score for name, found in search("violin", store, conversation=True)}
    assert scores["m2"] > scores["m3"] > scores["m1"] > scores["m0"]
    assert scores["m3"] > scores["m4"]


def test_the_speaker_named_in_the_query_outranks_another() -> None:
    store = talk("Ann: I like tea.", "Bob: I like tea.", "Ann: The weather is fine.", "Bob: It rains.")
    assert order("What does Bob like about tea?", store)[0] == "m1"
    assert order("What does Ann like about tea?", store)[0] == "m0"


def test_an_entity_named_in_the_query_comes_before_those_that_mention_it() -> None:
    store = {"Alice": ["prefers tea", "works at Acme"], "Bob": ["Alice introduced him to climbing", "met Alice twice"]}
    assert order("alice", store) == ["Alice", "Bob"]


def test_an_entity_is_found_by_its_name_without_any_observation() -> None:
    ((name, found),) = search("empty shelf", {"empty-shelf": [], "other": ["a book"]})
    assert (name, found.matches) == ("empty-shelf", ())
    assert found.score > CALLED


def test_observations_of_a_named_entity_are_ranked_by_the_other_words() -> None:
    store = {"Atlas": ["deployed on Fridays", "uses SQLite"], "Borealis": ["uses SQLite", "deployed on Mondays"]}
    (name, found), *_ = search("Which database, SQLite, does Atlas use?", store)
    assert (name, found.matches[0].position) == ("Atlas", 1)


def test_the_whole_session_sets_observations_of_equal_text_in_order() -> None:
    store = {"a": ["Ann: violin", "Ann: x", "Ann: y", "Ann: z", "Ann: strings of the bow"], "b": ["Ann: violin"]}
    by_name = {name: found.matches[0] for name, found in search("violin bow", store)}
    assert by_name["a"].whole == WHOLE > by_name["b"].whole


def test_a_code_is_found_first_though_others_share_its_parts() -> None:
    store = {f"e{n}": [f"PRJ-00{n}/v3.1 shipped", "see PRJ and v3 and 1"] for n in range(100, 130)}
    assert order("PRJ-00117/v3.1", store)[0] == "e117"


def test_equals_come_newest_first() -> None:
    assert order("tea", {"old": ["tea"], "new": ["tea"]}) == ["new", "old"]


def test_a_clear_match_in_a_large_entity_is_not_buried() -> None:
    store = {"large": ["violin repair"] + [f"note {n}" for n in range(30)], "small": ["violin lessons"]}
    assert order("violin repair", store)[0] == "large"


def test_explained_matches_name_token_place_and_parts() -> None:
    store = talk("Ann: Where is the violin?", "Bob: In the attic.")
    found = dict(search("Bob violin attic", store, conversation=True, explain=True))["m1"]
    (match,) = found.matches
    assert {(reason.token, reason.where) for reason in match.reasons} == {
        ("violin", "before"),
        ("bob", "who"),
        ("attic", "text"),
    }
    assert match.score == pytest.approx(match.text + match.named + match.whole)


@given(
    st.lists(st.lists(st.sampled_from(["tea", "pot tea", "Ann: tea?", "Bob: pot", "hat", ""]), max_size=6), max_size=5),
    st.sampled_from(["tea", "tea pot", "Ann tea", "hat"]),
    st.booleans(),
)
def test_scores_fall_and_texts_lie_between_0_and_1(observations: list[list[str]], query: str, joined: bool) -> None:
    store = {f"e{number}": each for number, each in enumerate(observations)}
    found = [each for _, each in search(query, store, conversation=joined)]
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    for each in found:
        assert [match.score for match in each.matches] == sorted((match.score for match in each.matches), reverse=True)
        assert all(0.0 < match.text <= 1.0 + 1e-9 for match in each.matches)


def test_questions_are_told_from_statements() -> None:
    line = read_line("8 May 2023 Ann: I bought tea. Do you like tea? See http://x.org/?tea=1 then.")
    assert line.counts["ann"] == (1, 0, 0)
    assert line.counts["tea"] == (0, 2, 1)
    assert line.counts["like"] == (0, 0, 1)
    assert line.said


@given(st.text(max_size=80))
def test_a_line_counts_every_token_once(text: str) -> None:
    line = read_line(text)
    assert line.length == sum(stated + asked for _, stated, asked in line.counts.values())
    if "?" not in text and "\uff1f" not in text:
        assert sorted({token for token, (who, *_) in line.counts.items() if not who}) == sorted(
            set(subject_and_body(text)[1]) - set(subject_and_body(text)[0])
        )


def test_weights_fall_with_the_rows_and_stay_above_zero() -> None:
    counts = {"rare": Count(1), "common": Count(50), "always": Count(100), "more": Count(200), "unknown": Count(0)}
    weights = {term.token: term.weight for term in weigh(counts, counts, 100)}
    assert weights["rare"] > weights["common"] > weights["always"] > 0
    assert weights["more"] > 0
    assert "unknown" not in weights


def test_a_token_that_is_only_begun_counts_less() -> None:
    counts = {"carolin": Count(5)}
    (begun,) = weigh([], counts, 100, beginnings=["carolin"])
    (whole,) = weigh(["carolin"], counts, 100, beginnings=["carolin"])
    assert begun.weight < whole.weight / 2


def test_a_name_is_a_term_that_is_speaker_or_subject_in_half_of_its_rows() -> None:
    terms = weigh(["ann", "tea"], {"ann": Count(10, who=5), "tea": Count(10, who=4)}, 100)
    assert [term.is_name for term in terms] == [True, False]


def test_common_tokens_only_fill_up_unless_there_are_no_others() -> None:
    assert choose_terms({"a": Count(300), "b": Count(600)}, 1_000).needed == ("a", "b")
    assert choose_terms({"a": Count(0)}, 1_000) == choose_terms({}, 0)
    chosen = choose_terms({"a": Count(10), "b": Count(900)}, 1_000)
    assert (chosen.needed, chosen.helpful, chosen.filling) == (("a",), (), ("b",))


def test_the_rarest_tokens_are_needed_and_the_next_help_to_rank() -> None:
    counts = {"c": Count(9_000), "a": Count(100), "d": Count(COUNTED), "b": Count(LOOKED_UP - 100)}
    chosen = choose_terms(counts, 1_000_000)
    assert (chosen.needed, chosen.helpful) == (("a", "b"), ("c",))


def test_nothing_helps_to_rank_what_is_taken_anyway() -> None:
    chosen = choose_terms({"code": Count(CANDIDATES), "common": Count(9_000)}, 1_000_000)
    assert (chosen.needed, chosen.helpful) == (("code",), ())


def test_tokens_in_too_many_rows_fill_up_the_rarest_first() -> None:
    common = {token: Count(LOOKED_UP + 5 - number) for number, token in enumerate("abcde"[:FILLING])}
    chosen = choose_terms({**common, "f": Count(LOOKED_UP + 9)}, 1_000_000)
    assert (chosen.needed, chosen.helpful, chosen.filling) == ((), (), tuple("abcde"[:FILLING][::-1]))
    assert choose_terms({**common, "code": Count(1)}, 1_000_000).filling == chosen.filling


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 50_000).map(Count), max_size=60), st.integers(0, 100_000))
def test_what_is_looked_up_stays_within_its_limits(counts: dict[str, Count], rows: int) -> None:
    chosen = choose_terms(counts, rows)
    assert sum(counts[token].rows for token in chosen.needed) <= LOOKED_UP
    assert len(chosen.needed) + len(chosen.helpful) <= TOKENS
    assert all(counts[token].rows for token in chosen.needed + chosen.helpful + chosen.filling)
    assert bool(chosen.needed or chosen.filling) == any(count.rows for count in counts.values())
    assert not set(chosen.needed) & set(chosen.filling)


@given(st.floats(0, 1), st.floats(-1, 1e6), st.booleans())
def test_ties_are_broken_within_their_bound(relevance: float, age_days: float, pinned: bool) -> None:
    gain = tie_break(relevance, age_days, pinned)
    assert 0.0 <= gain <= TIES
    assert tie_break(relevance, age_days + 10, pinned) <= gain
    assert tie_break(relevance, age_days, True) >= gain
