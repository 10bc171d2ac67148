"""What of a text becomes a vector."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhanced_memory.rules.wording import is_code, question, statement


@pytest.mark.parametrize(
    ("observation", "worded"),
    [
        ("8 May 2023 Caroline: I went to a support group", "I went to a support group"),
        ("[10:31] bob: hi there", "hi there"),
        ("Ann: Thanks, Melanie! That helps, Mel.", "Thanks! That helps."),
        ("Ann: Hey Bob, how was Paris?", "Hey, how was Paris?"),
        ("Caroline Smith likes green tea", "I likes green tea"),
        ("The user prefers dark mode", "I prefers dark mode"),
        ("Ann's dog is called Rex", "my dog is called Rex"),
        ("3 dogs live here", "3 dogs live here"),
        ("Bob:", "Bob:"),
    ],
)
def test_an_observation_loses_label_date_and_the_names_of_those_it_is_said_to(observation: str, worded: str) -> None:
    assert statement(observation) == worded


@pytest.mark.parametrize(
    ("query", "names", "worded"),
    [
        ("When did Caroline go to Paris?", {"carolin"}, "When did I go to Paris?"),
        ("What is Ann's dog called?", {"ann"}, "What is my dog called?"),
        ("Where did Ann Smith and Bob meet?", {"ann", "smith", "bob"}, "Where did I meet?"),
        ('tea "green leaves" -coffee type:person since:2w', set(), "tea green leaves"),
        ("What does Ann like?", set(), "What does Ann like?"),
    ],
)
def test_a_query_is_asked_by_the_one_it_is_about(query: str, names: set[str], worded: str) -> None:
    assert question(query, names) == worded


@given(st.text(min_size=1))
def test_a_text_with_something_in_it_is_never_made_empty(text: str) -> None:
    assert statement(text)


def test_a_word_with_digits_is_a_code() -> None:
    assert is_code("PRJ-00120/v3.1")
    assert not is_code("caf\u00e9")
