"""Words and meaning added up."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from enhanced_memory.rules import fusion, ranking
from enhanced_memory.rules.ranking import Count, Place, Strip, Term

TEXTS = ["Ann: I bought a car", "Bob: it rains again", "Ann: the doctor called me"]
TITLES = {number: ranking.read_title(f"turn {number}", "turn", 1) for number in range(len(TEXTS))}
STRIPS = [Strip(number, [Place(number, 0, ranking.read_line(text))]) for number, text in enumerate(TEXTS)]


def terms(*tokens: str) -> list[Term]:
    counts = {token: Count(1, who=token == "ann") for token in tokens}
    return ranking.weigh(tokens, counts, 100)


def fused(asked: list[Term], likeness: dict[tuple[int, int], float]) -> dict[int, ranking.Match]:
    found = ranking.score(asked, STRIPS, TITLES)
    return {each.entity: each.matches[0] for each in fusion.fuse(found, asked, STRIPS, TITLES, likeness)}


def test_without_vectors_the_ranking_is_that_of_the_words() -> None:
    asked = terms("car", "ann")
    found = ranking.score(asked, STRIPS, TITLES)
    assert fusion.fuse(found, asked, STRIPS, TITLES, {}) == found


def test_the_observation_that_means_most_nearly_the_same_gains_all_that_meaning_gives() -> None:
    matches = fused(terms("car"), {(0, 0): 0.3, (2, 0): 0.6})
    assert matches[2].meaning == pytest.approx(fusion.MEANING)
    assert matches[0].meaning == pytest.approx(fusion.MEANING / 2)
    assert matches[0].text == 1.0


def test_what_was_found_by_meaning_alone_gains_for_being_about_someone_named() -> None:
    found = fusion.fuse([], terms("ann"), STRIPS, TITLES, {(1, 0): 0.5, (2, 0): 0.5})
    assert [each.entity for each in found] == [2, 1]
    assert [each.matches[0].named for each in found] == [ranking.NAMED, 0.0]


def test_nothing_is_found_by_a_meaning_that_is_too_unlike() -> None:
    assert fusion.fuse([], terms("car"), STRIPS, TITLES, {(1, 0): fusion.UNLIKE - 0.01}) == []


def test_a_neighbour_that_means_the_same_lends_a_share() -> None:
    places = [strip.places[0] for strip in STRIPS]
    titles = TITLES
    likeness = {(0, 0): 0.5, (1, 0): 0.5, (2, 0): 0.5}
    found = fusion.fuse([], [], [Strip("session", places)], titles, likeness)
    assert found[0].entity == 1


@given(st.dictionaries(st.tuples(st.integers(0, 2), st.just(0)), st.floats(-1, 1)))
@example({(0, 0): 5e-324})
def test_meaning_never_takes_from_what_the_words_gave(likeness: dict[tuple[int, int], float]) -> None:
    asked = terms("car", "ann", "doctor")
    before = {each.entity: each.score for each in ranking.score(asked, STRIPS, TITLES)}
    after = {
        each.entity: each.score
        for each in fusion.fuse(ranking.score(asked, STRIPS, TITLES), asked, STRIPS, TITLES, likeness)
    }
    assert before.keys() <= after.keys()
    assert all(score <= after[entity] <= score + fusion.MEANING + 1e-9 for entity, score in before.items())
