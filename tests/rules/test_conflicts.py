"""What observations have to do with one another."""

from __future__ import annotations

import gc
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhanced_memory.rules.conflicts import compare, judge, looked_up, related_terms, subject_terms, worth_judging
from enhanced_memory.rules.text import analyse

TEXTS = st.text(max_size=60)


def kind_of(old: str, new: str) -> str | None:
    finding = judge(old, new)
    return finding.kind if finding else None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Lives in Lisbon", "Lives in Warsaw"),
        ("User's time zone is CET", "Time zone is PST"),
        ("Uses pytest for testing", "Uses unittest for testing"),
        ("Prefers tabs over spaces", "Prefers spaces over tabs"),
        ("Drinks alcohol", "Doesn't drink alcohol"),
        ("Always runs tests", "Never runs tests"),
        ("The repository is public", "The repository is private"),
        ("The server is healthy", "The server is unhealthy"),
        ("Timeout is 30 seconds", "Timeout is 2 minutes"),
        ("Standup is on Mondays", "Standup is on Thursdays"),
        ("User is a vegetarian", "User eats steak every week"),
    ],
)
def test_two_values_of_one_thing_are_a_contradiction(old: str, new: str) -> None:
    assert kind_of(old, new) == "contradiction"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Lives in Berlin", "Moved to Vienna last month"),
        ("Uses Slack for team chat", "Switched to Discord for team chat"),
        ("Smokes", "No longer smokes"),
        ("Manager is Anna", "As of March, the manager is Peter"),
        ("Deadline is 3 June", "Deadline moved to 10 June"),
        ("Owns a car", "Sold the car"),
        ("User is engaged", "User got married"),
        ("Has one child", "Had a second child"),
    ],
)
def test_a_statement_that_tells_of_a_change_is_an_update(old: str, new: str) -> None:
    assert kind_of(old, new) == "update"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Has three dogs", "Owns 3 dogs"),
        ("Call is at 5pm", "Call is at 17:00"),
        ("Deadline is 2024-05-01", "Deadline is 1 May 2024"),
        ("Max size is 1 GB", "Max size is 1024 MB"),
        ("Lives in New York City", "Based in NYC"),
        ("Uses zsh", "Shell is zsh"),
        ("Dislikes meetings", "Does not like meetings"),
        ("Never use force push", "Force pushing is not allowed"),
        ("I live in Rome", "User lives in Rome"),
    ],
)
def test_other_words_for_the_same_are_a_duplicate(old: str, new: str) -> None:
    assert kind_of(old, new) == "duplicate"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Speaks Italian", "Speaks Dutch"),
        ("Likes cats", "Does not like dogs"),
        ("Prefers tea at home", "Prefers coffee at work"),
        ("Alice lives in Rome", "Bob lives in Paris"),
        ("Visited Rome in 2018", "Visited Oslo in 2020"),
        ("Lived in Paris in 2010", "Lives in Berlin"),
        ("Works at Hooli", "Works in security at Hooli"),
        ("Lives in Berlin", "Might move to Hamburg"),
        ("Uses Go for services", "Goes to the gym on Mondays"),
        ("Has 2 cats", "Has 3 dogs"),
        ("Lives in Berlin", "Does the user live in Hamburg?"),
        ("", "Lives in Berlin"),
    ],
)
def test_statements_that_can_both_stand_give_no_finding(old: str, new: str) -> None:
    assert kind_of(old, new) is None


@given(TEXTS, TEXTS, st.booleans())
def test_any_two_texts_are_judged_with_a_confidence_and_a_reason(old: str, new: str, same: bool) -> None:
    finding = judge(old, new, same_entity=same)
    assert finding is None or (0.0 < finding.confidence <= 1.0 and finding.reason)


@given(st.text(alphabet="aeiou lnrst.5", min_size=1, max_size=60).filter(str.strip))
def test_a_text_is_a_duplicate_of_itself(text: str) -> None:
    assert kind_of(text, text) == "duplicate"


def test_a_named_person_is_the_user_only_within_one_entity() -> None:
    assert judge("Alice lives in Oslo", "Lives in Bergen") is None
    finding = judge("Alice lives in Oslo", "Lives in Bergen", same_entity=True)
    assert finding is not None
    assert finding.kind == "contradiction"


def test_a_speaker_s_label_names_the_subject_of_the_first_person() -> None:
    assert kind_of("8 May 2023 Caroline: I live in Paris", "Caroline lives in Rome") == "contradiction"
    assert kind_of("Melanie: I live in Paris", "Caroline lives in Rome") is None


def test_the_reason_names_both_values() -> None:
    finding = judge("Keeps backups for 7 days", "Keeps backups for 30 days")
    assert finding is not None
    assert "7 days" in finding.reason
    assert "30 days" in finding.reason


def test_an_observation_too_long_for_one_statement_is_compared_as_a_whole() -> None:
    report = "Lives in Oslo. " * 40
    assert judge(report, report.replace("Oslo", "Rome")) is None
    assert kind_of(report, report.upper()) == "duplicate"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Lives in Lisbon", "Lives in Warsaw"),
        ("Launch date is June 5", "Launch date is now June 12"),
        ("User is pregnant", "User gave birth to a boy"),
        ("Uses MySQL", "Migrated to PostgreSQL"),
        ("Vegan", "User eats cheese"),
        ("Enjoys cycling", "Likes to cycle"),
        ("Likes cats", "Likes dogs"),
    ],
)
def test_lists_of_one_observation_give_what_the_pair_gives(old: str, new: str) -> None:
    verdict, finding = compare([old], [new]), judge(old, new)
    assert (verdict and verdict.conflict_type) == (finding and finding.kind)
    assert (verdict and verdict.confidence) == (finding and finding.confidence)


def test_a_contradiction_wins_over_any_overlap() -> None:
    shared = [f"Fact number {n}" for n in range(20)]
    verdict = compare([*shared, "Lives in Oslo"], [*shared, "Lives in Rome"])
    assert verdict is not None
    assert (verdict.conflict_type, verdict.suggested_action) == ("contradiction", "review")
    assert [(one.existing, one.new) for one in verdict.evidence] == [("Lives in Oslo", "Lives in Rome")]


def test_overlap_above_the_threshold_is_a_duplicate_and_above_a_third_an_update() -> None:
    eaten = [f"Ate a {fruit}" for fruit in ("kiwi", "apple", "plum", "grape", "melon", "cherry")]
    whole = compare(eaten, eaten[::-1])
    half = compare(eaten, eaten[:3])
    assert whole is not None
    assert (whole.conflict_type, whole.suggested_action, whole.confidence) == ("duplicate", "merge", 1.0)
    assert half is not None
    assert (half.conflict_type, half.suggested_action, half.confidence) == ("update", "update", 0.5)
    assert compare(eaten, ["Ate a pear", "Ate a fig", "Ate a kiwi", "Ate a lime"]) is None


def test_what_both_lists_hold_is_held_against_nothing_else() -> None:
    verdict = compare(["Rent is 900", "Rent is 950"], ["Rent is 950", "Rent is 900"])
    assert verdict is not None
    assert verdict.conflict_type == "duplicate"


def test_a_number_that_tells_which_thing_is_meant_is_no_value() -> None:
    assert judge("Test observation 1", "Test observation 2") is None
    assert judge("Ticket 42 is open", "Ticket 43 is closed") is None
    assert judge("Likes item 5", "Likes item 6") is None
    assert judge("Task 1 of release 2", "Task 95 of release 2") is None
    assert judge("Works on task 5 of release 2", "Works on task 6 of release 2") is None
    assert judge("Build 118 failed", "Build 121 failed") is None
    assert kind_of("Has 3 tasks", "Has 5 tasks") == "contradiction"
    assert kind_of("Task 5 takes 3 days", "Task 5 takes 6 days") == "contradiction"


def test_a_threshold_of_the_caller_is_used() -> None:
    eaten = ["Ate a kiwi", "Ate a plum", "Ate a fig"]
    verdict = compare(eaten, eaten[:2], threshold=0.6)
    assert verdict is not None
    assert verdict.conflict_type == "duplicate"


def test_empty_lists_are_in_no_conflict() -> None:
    assert compare([], []) is None
    assert compare(["Likes tea"], []) is None


@given(TEXTS)
def test_an_observation_is_looked_up_by_all_its_tokens(text: str) -> None:
    assert set(subject_terms(text)) == set(analyse(text))


def test_what_most_memories_say_comes_last_in_a_look_up() -> None:
    assert subject_terms("User prefers dark mode")[-2:] == ("user", "prefer")


def test_related_terms_lead_from_one_member_of_a_kind_to_another() -> None:
    assert "postgresql" in related_terms("Uses MySQL")
    assert "vegetarian" not in related_terms("Uses MySQL")


def test_long_observations_leave_little_in_memory() -> None:
    texts = [f"{number} " + f"word{number} " * 1_000 for number in range(400)]
    compare(texts[:20], texts[10:30])  # what is made once and kept is made now
    gc.collect()
    tracemalloc.start()
    try:
        for text in texts:
            compare([text], [text[1:]])
            looked_up(text)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 6_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("times", [1, 50])
def test_the_same_words_are_worth_judging_before_more_of_them(times: int) -> None:
    text = "the same words over and over, " * times
    assert worth_judging(text, ["over and over the same words anew", "again " + text, text.upper()], {})[0] == 2
