"""What search finds, in which order, and what it tells."""

from __future__ import annotations

from typing import Any

import pytest

from enhanced_memory.rules.ranking import LOOKED_UP


@pytest.fixture(autouse=True)
def memories(remember: Any) -> None:
    remember("Caroline", "Caroline moved to Zürich in May", "Caroline prefers green tea", type_="person")
    remember("Melanie", "Melanie runs the marathon", "Melanie prefers black coffee", type_="person")
    remember("deploy-pipeline", "Deploys run from main on Thursdays", "Ticket PRJ-00120/v3.1 broke it", type_="system")
    remember("Initech", "A company that makes printers", type_="company", tier="semantic")


def names(reply: dict[str, Any]) -> list[str]:
    return [result["name"] for result in reply["results"]]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("Where did Caroline move to?", "Caroline"),
        ("who is running marathons", "Melanie"),
        ("zurich", "Caroline"),
        ("PRJ-00120/v3.1", "deploy-pipeline"),
        ("init", "Initech"),
        ("company", "Initech"),
        ("when do we deploy", "deploy-pipeline"),
        ('"green tea"', "Caroline"),
        ("prefers -coffee", "Caroline"),
        ("mara*", "Melanie"),
    ],
)
def test_a_query_finds_its_memory_first(ask: Any, query: str, first: str) -> None:
    assert names(ask("search_nodes", query=query))[0] == first


def test_memories_of_many_observations_hide_no_other(ask: Any, remember: Any) -> None:
    for number in range(2):
        remember(f"large {number}", *(f"the ferry to Tromsø, trip {number}, leg {leg}" for leg in range(600)))
    for number in range(30):
        remember(f"small {number}", f"the ferry to Tromsø was late on day {number}")
    found = names(ask("search_nodes", query="ferry to Tromsø", limit=50, detail="names"))
    assert {"large 0", "large 1", *(f"small {number}" for number in range(30))} <= set(found)
    assert len(names(ask("search_nodes", query="ferry to Tromsø", detail="names"))) == 10


def crowd(ask: Any, *words: str) -> None:
    """For each word more memories that have it than are ranked, and as many without any."""
    for first in range(0, LOOKED_UP + 100, 100):
        entities = [
            {"name": f"{word} {number}", "entityType": "thing", "observations": [f"One {word} more, of {number}"]}
            for word in (*words, "line")
            for number in range(first, first + 100)
        ]
        assert ask("create_entities", entities=entities, check_conflicts=False)["success"]


def test_words_that_very_many_memories_have_are_found_though_none_has_two_of_them(ask: Any) -> None:
    crowd(ask, "ferry", "garden")
    for query in ("ferry", "ferry garden", "what about a garden, or the ferry?"):
        found = names(ask("search_nodes", query=query, limit=20))
        assert len(found) == 20
        assert all(name.startswith(("ferry", "garden")) for name in found)


def test_of_words_that_very_many_memories_have_those_with_several_come_first(ask: Any, remember: Any) -> None:
    remember("trip", "The ferry leaves behind the garden")
    crowd(ask, "ferry", "garden", "tower")
    assert names(ask("search_nodes", query="ferry garden"))[0] == "trip"
    assert "trip" in names(ask("search_nodes", query="ferry tower garden", limit=1000))


def test_an_entity_is_found_by_its_whole_name_though_very_many_have_its_word(ask: Any, remember: Any) -> None:
    remember("Ferry", "Leaves at eight")
    crowd(ask, "ferry")
    for query in ("Ferry", "ferry", " FERRY "):
        assert names(ask("search_nodes", query=query))[0] == "Ferry"
    assert "Ferry" not in names(ask("search_nodes", query="ferry", entity_type="person"))


def test_a_page_that_rare_words_do_not_fill_is_filled_by_common_ones(ask: Any, remember: Any) -> None:
    remember("dentist", "The dentist is opposite")
    crowd(ask, "ferry", "tower")
    found = names(ask("search_nodes", query="ferry dentist"))
    assert (found[0], len(found)) == ("dentist", 10)
    assert all(name.startswith("ferry") for name in found[1:])


def test_pages_neither_repeat_nor_leave_out_what_one_large_page_has(ask: Any) -> None:
    words = ["ferry", "garden", "tower", "river", "market"]
    entities = [
        {
            "name": f"{words[number % 5]} {number}",
            "entityType": "thing",
            "observations": [
                " ".join(words[number * at % 5] for at in range(1, 2 + (number * at) % 7))
                for at in range(1, 2 + number % 4)
            ],
        }
        for number in range(400)
    ]
    assert ask("create_entities", entities=entities, check_conflicts=False)["success"]
    for query in ("ferry", "garden tower", "the river behind the market"):
        whole = names(ask("search_nodes", query=query, limit=120))
        pages = [names(ask("search_nodes", query=query, limit=10, offset=start)) for start in range(0, 120, 10)]
        assert [name for page in pages for name in page] == whole
        scores = [each["score"] for each in ask("search_nodes", query=query, limit=120)["results"]]
        assert scores == sorted(scores, reverse=True)


def test_words_that_stand_in_a_large_share_of_the_memories_fill_the_page_behind_rarer_ones(
    ask: Any, remember: Any
) -> None:
    for number in range(30):
        remember(f"note {number}", f"The {'ferry' if number % 3 else 'tower'} is late on day {number}")
    remember("grazing", "A zebra was seen")
    found = names(ask("search_nodes", query="ferry zebra"))
    assert (found[0], len(found)) == ("grazing", 10)
    assert all(int(name.removeprefix("note ")) % 3 for name in found[1:])


def test_words_that_only_another_namespace_has_hide_no_memory_that_has_a_common_one(ask: Any) -> None:
    def create(namespace: str, *texts: str) -> None:
        entities = [{"name": text, "entityType": "thing", "observations": [f"One {text}"]} for text in texts]
        assert ask("create_entities", namespace, entities=entities, check_conflicts=False)["success"]

    create("default", *(f"ferry {number}" for number in range(12)))
    rare = "zebra giraffe okapi gazelle"
    create("elsewhere", *rare.split())
    assert len(names(ask("search_nodes", query="ferry zebra"))) == 10
    for namespace, text, times in (("elsewhere", rare, LOOKED_UP), ("default", "ferry", LOOKED_UP + 100)):
        lines = [f"{text} {number}" for number in range(times)]
        ask("create_entities", namespace, entities=[{"name": text, "entityType": "thing", "observations": lines}])
    assert len(names(ask("search_nodes", query=f"ferry {rare}"))) == 10


def test_the_reply_names_the_observations_that_matched(ask: Any) -> None:
    result = ask("search_nodes", query="green tea")["results"][0]
    assert result["observations"][result["matches"][0]["index"]] == "Caroline prefers green tea"


def test_matched_detail_gives_only_what_matched_and_names_detail_no_observation(ask: Any) -> None:
    matched = ask("search_nodes", query="green tea", detail="matched")["results"][0]
    assert matched["observations"] == ["Caroline prefers green tea"]
    assert "observations" not in ask("search_nodes", query="green tea", detail="names")["results"][0]


def test_an_empty_query_lists_the_most_recently_used(ask: Any) -> None:
    assert names(ask("search_nodes", query="", limit=2)) == ["Initech", "deploy-pipeline"]
    assert names(ask("search_nodes", query="  ", limit=2, offset=2)) == ["Melanie", "Caroline"]


def test_filters_narrow_what_is_found(ask: Any) -> None:
    assert names(ask("search_nodes", query="prefers printers", entity_type="company")) == ["Initech"]
    assert names(ask("search_nodes", query="prefers printers tier:semantic")) == ["Initech"]
    assert names(ask("search_nodes", query="", tier="semantic")) == ["Initech"]
    assert names(ask("search_nodes", query="tea", since="2100-01-01")) == []
    assert names(ask("search_nodes", query="tea", until="2001-01-01")) == []
    assert names(ask("search_nodes", query="tea", since="1d")) == ["Caroline"]


def test_offset_and_more_page_through_the_results(ask: Any) -> None:
    whole = names(ask("search_nodes", query="prefers"))
    first = ask("search_nodes", query="prefers", limit=1)
    second = ask("search_nodes", query="prefers", limit=1, offset=1)
    assert (first["more"], second["more"]) == (True, False)
    assert names(first) + names(second) == whole


def test_a_reply_keeps_within_its_token_budget(ask: Any) -> None:
    reply = ask("search_nodes", query="prefers", max_tokens=300)
    assert (len(reply["results"]), reply["more"]) == (1, True)


@pytest.mark.parametrize("mode", ["semantic", "hybrid"])
def test_a_mode_that_is_not_installed_is_a_clear_error(ask: Any, mode: str) -> None:
    assert ask("search_nodes", query="tea", mode=mode)["code"] == "invalid_params"


@pytest.mark.parametrize(
    "query",
    ['"', "NEAR(", "a AND OR", "-", "*", "name:", "\x00", "😀", "(((", "col : x", "' OR 1=1 --", "^a", "x" * 10_000],
)
def test_no_query_is_a_syntax_error(ask: Any, query: str) -> None:
    assert ask("search_nodes", query=query)["success"] is True


@pytest.mark.parametrize("limit", [0, 1001, "5", 2.5, True])
def test_limits_are_whole_numbers_from_1_to_1000(ask: Any, limit: Any) -> None:
    reply = ask("search_nodes", query="tea", limit=limit)
    assert (reply["code"], reply["details"]["path"]) == ("invalid_params", "limit")


def test_relevance_is_a_floor_that_can_be_asked_for(ask: Any, remember: Any) -> None:
    remember("faded", "prefers oolong", relevance_score=0.2)
    assert "faded" in names(ask("search_nodes", query="oolong"))
    assert names(ask("search_nodes", query="oolong", min_relevance=0.5)) == []


def test_a_quoted_title_that_nobody_wrote_so_does_not_empty_a_question(ask: Any) -> None:
    assert names(ask("search_nodes", query='does caroline drink "green leaf tea"'))[0] == "Caroline"
    assert names(ask("search_nodes", query='"green leaf tea"')) == []


def test_an_excluded_word_anywhere_in_an_entity_leaves_it_out(ask: Any) -> None:
    assert names(ask("search_nodes", query="prefers -zurich")) == ["Melanie"]


def test_only_an_excluded_word_lists_all_without_it(ask: Any) -> None:
    everything = names(ask("search_nodes", query="", limit=100))
    without = names(ask("search_nodes", query="-zurich", limit=100))
    assert "Melanie" in without
    assert set(everything) - set(without) == {"Caroline"}
    assert ask("search_nodes", query="-zurich", limit=1)["more"] is (len(without) > 1)


def test_a_filter_that_is_none_is_told(ask: Any) -> None:
    reply = ask("search_nodes", query="prefers tier:gold since:foo")
    assert names(reply)
    assert "tier:gold, since:foo" in reply["notice"]
    assert "notice" not in ask("search_nodes", query="prefers tier:working since:7d")


def test_a_word_stored_just_now_is_found_at_once(ask: Any, remember: Any) -> None:
    assert names(ask("search_nodes", query="zeppelins")) == []
    remember("Otto", "Otto builds zeppelins")
    assert names(ask("search_nodes", query="zeppelins")) == ["Otto"]


def test_an_explanation_names_the_words_and_adds_up(ask: Any) -> None:
    result = ask("search_nodes", query="where did caroline move", explain=True)["results"][0]
    part = result["explanation"][0]
    assert {word["word"] for word in part["words"]} == {"carolin", "move"}
    assert abs(part["text"] + part["named"] + part["whole"] - result["matches"][0]["score"]) < 0.001
