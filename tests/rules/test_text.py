"""The analyser and its stems."""

from __future__ import annotations

import re
import sqlite3
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from enhanced_memory.rules.stemming import stem
from enhanced_memory.rules.text import (
    MAX_TOKEN,
    analyse,
    analyse_parts,
    analyse_prefix,
    is_single_sign,
    is_stop_word,
    observe,
    subject_and_body,
)

PIECES = st.sampled_from(
    [
        "a",
        "IT",
        "don't",
        "Ann\u2019s",
        "x_y",
        "C++",
        "-",
        "/v3.1",
        "1,000",
        "東京都",
        "สวัสดี",
        "हिन्दी",
        "é",
        "İ",
        "ß",
        "\0",
        '"',
        "*",
        " ",
    ]
)
TEXTS = st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=12).map("".join))


@pytest.mark.parametrize(
    ("words", "shared"),
    [
        ("adopt adopted adopting adoption adoptions", "adopt"),
        ("run runs running", "run"),
        ("happy happiness", "happi"),
        ("organize organized organization", "organiz"),
        ("hope hoped hoping", "hope"),
        ("cry cries cried", "cri"),
        ("generous generously", "generous"),
        ("agreed agrees agree", "agre"),
        ("rational rationally", "ration"),
    ],
)
def test_the_forms_of_a_word_share_a_stem(words: str, shared: str) -> None:
    assert {stem(word) for word in words.split()} == {shared}


@pytest.mark.parametrize(
    ("word", "expected"),
    # The examples that the definition of the algorithm gives, and words it calls exceptional.
    [
        *[("consist", "consist"), ("consisted", "consist"), ("consistency", "consist"), ("consolation", "consol")],
        *[("knack", "knack"), ("knaves", "knave"), ("knightly", "knight"), ("knots", "knot"), ("kinkajou", "kinkajou")],
        *[
            ("skis", "ski"),
            ("skies", "sky"),
            ("dying", "die"),
            ("news", "news"),
            ("only", "onli"),
            ("inning", "inning"),
        ],
        *[("succeed", "succeed"), ("exceeds", "exceed"), ("ties", "tie"), ("gas", "gas"), ("kiwis", "kiwi")],
        *[("controlling", "control"), ("probate", "probat"), ("cease", "ceas"), ("egging", "egg"), ("say", "say")],
        *[("geologist", "geolog"), ("sayings", "say"), ("luxuriated", "luxuri"), ("hopping", "hop"), ("by", "by")],
    ],
)
def test_stems_are_those_of_the_published_algorithm(word: str, expected: str) -> None:
    assert stem(word) == expected


@given(st.text(alphabet="aeiouybdglnstz", min_size=1, max_size=14))
def test_a_stem_is_never_empty_nor_longer_than_its_word(word: str) -> None:
    assert 1 <= len(stem(word)) <= len(word)


@given(TEXTS)
@example("İİŉǰΐ")
@example("\ud800")
def test_tokens_hold_letters_digits_and_marks_only_and_are_never_empty_or_long(text: str) -> None:
    for token in analyse(text) + analyse_parts(text) + analyse_prefix(text):
        assert 1 <= len(token) <= MAX_TOKEN
        assert all(unicodedata.category(sign)[0] in "LNM" for sign in token), token
        assert token == token.lower()


@given(TEXTS)
def test_every_text_with_a_letter_or_digit_has_a_token(text: str) -> None:
    if re.search(r"[^\W_]", text):
        assert analyse(text)


@given(TEXTS)
@example("The Who")
def test_every_token_of_a_text_is_found_by_sqlite_where_it_was_put(text: str) -> None:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE texts USING fts5(body, content='', tokenize='ascii')")
    parts = analyse_parts(text)
    database.execute("INSERT INTO texts(rowid, body) VALUES (1, ?)", (" ".join(analyse(text)),))
    for match in [f'"{token}"' for token in analyse(text)] + ([f'"{" ".join(parts)}"'] if parts else []):
        assert database.execute("SELECT rowid FROM texts WHERE texts MATCH ?", (match,)).fetchall() == [(1,)]
    database.close()


@pytest.mark.parametrize(
    ("code", "tokens"),
    [
        ("PRJ-00120/v3.1", ["prj", "00120", "v3", "1", "prj00120v31"]),
        ("foo_bar.baz", ["foo", "bar", "baz", "foobarbaz"]),
        ("camelCase", ["camel", "case", "camelcas"]),
        ("getHTTPResponse", ["http", "respons", "gethttprespons"]),
        ("memory_client.MemoryClient", ["memori", "client", "memori", "client", "memorycli", "memoryclientmemorycli"]),
        ("anna.smith@example.com", ["anna", "smith", "exampl", "com", "annasmithexamplecom"]),
        ("/usr/bin/python3.11", ["usr", "bin", "python3", "11", "usrbinpython311"]),
        ("e-mail", ["e", "mail", "email"]),
        ("C++ C#", ["c", "c", "cplusplus", "csharp"]),
        ("$1,000,000", ["1000000"]),
        ("2023-05-08", ["2023", "05", "08", "20230508"]),
        ("O'Brien\u2019s", ["o", "brien", "obrien"]),
    ],
)
def test_a_code_gives_its_parts_and_one_token_of_them_all(code: str, tokens: list[str]) -> None:
    assert analyse(code) == tokens


def test_joined_tokens_stand_behind_the_parts_so_that_phrases_meet_them_side_by_side() -> None:
    assert analyse("the re-used foo_bar client") == ["re", "use", "foo", "bar", "client", "reus", "foobar"]
    assert analyse_parts("the re-used foo_bar client") == ["re", "use", "foo", "bar", "client"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Überraschung für JÜRGEN", "uberraschung fur jurgen"),
        ("Straße", "STRASSE"),
        ("Ørsted", "orsted"),
        ("\uff26\uff55\uff4c\uff4c \ufb01ne", "full fine"),
        ("ёлка", "елка"),
        ("مُحَمَّد", "محمد"),
        ("co\u00adoperate", "cooperate"),
        ("Caroline's", "caroline"),
        ("Caroline\u2019s", "Caroline"),
        ("I'm sure they've", "sure"),
    ],
)
def test_spellings_of_the_same_text_give_the_same_tokens(one: str, other: str) -> None:
    assert analyse(one) == analyse(other)


def test_scripts_without_spaces_give_pairs_and_the_last_sign_of_each_run() -> None:
    assert analyse("私はPythonが好き") == ["私は", "python", "が好", "好き", "は", "き"]
    assert analyse("東京都") == ["東京", "京都", "都"]
    assert analyse("都") == ["都"]
    assert analyse("한국어를") == ["한국", "국어", "어를", "를"]


def test_any_part_of_a_word_in_such_a_script_is_met_side_by_side() -> None:
    whole = analyse_parts("東京都庁舎")
    for start in range(4):
        for end in range(start + 2, 6):
            part = analyse_parts("東京都庁舎"[start:end])
            assert any(whole[at : at + len(part)] == part for at in range(len(whole)))


def test_words_of_india_keep_their_vowel_signs() -> None:
    assert analyse("हिन्दी में") == ["हिन्दी", "में"]


def test_stop_words_are_left_out_unless_nothing_else_is_left() -> None:
    assert analyse("What did the cat do?") == ["cat"]
    assert analyse("The Who") == ["the", "who"]
    assert analyse("don't") == ["dont"]
    assert [is_stop_word(word) for word in ("the", "Don't", "cat", "!")] == [True, True, False, False]


def test_acronyms_are_no_stop_words() -> None:
    assert analyse("works in IT for the WHO, not in it") == ["work", "it", "who"]


def test_words_too_long_for_a_token_are_cut() -> None:
    assert analyse("x" * 10_000) == ["x" * MAX_TOKEN]


@pytest.mark.parametrize(
    ("beginning", "tokens"),
    [
        ("ado", ["ado"]),
        ("happy", ["happ"]),
        ("adoption", ["adopt"]),
        ("PRJ-001", ["prj", "001"]),
        ("camelCa", ["camel", "ca"]),
        ("in-mem", ["mem"]),
        ("the", ["the"]),
        ("都", ["都"]),
        ("東京", ["東京"]),
        ("-*-", []),
    ],
)
def test_a_beginning_is_not_stemmed_but_cut_where_its_stem_differs(beginning: str, tokens: list[str]) -> None:
    assert analyse_prefix(beginning) == tokens


@pytest.mark.parametrize("word", ["adoption", "happiness", "happily", "running", "organization", "cities", "wolves"])
def test_a_whole_word_taken_as_a_beginning_still_finds_its_own_token(word: str) -> None:
    assert analyse(word)[0].startswith(analyse_prefix(word)[0])


def test_single_signs_are_told_from_letters() -> None:
    assert [is_single_sign(word) for word in ("都", "ก", "a", "東京", "")] == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("observation", "who", "text"),
    [
        ("8 May 2023 Caroline: I went home", ["carolin"], "8 May 2023 I went home"),
        ("8 May 2023 June: hi", ["june"], "8 May 2023 hi"),
        ("[2024-05-01] Bob: hi", ["bob"], "[2024-05-01] hi"),
        ("2024-05-01T10:31:00Z user: hi", ["user"], "2024-05-01T10:31:00Z hi"),
        ("12/05/2023, 10:31 - Bob Smith: hi", ["bob", "smith"], "12/05/2023, 10:31 - hi"),
        ("Bob (10:31 AM): hi", ["bob"], "hi"),
        ("bob: hi", ["bob"], "hi"),
        ("<bob> hi", ["bob"], "hi"),
        ("**Ann (PM):** hi", ["ann"], "hi"),
        ("- @ann: hi", ["ann"], "hi"),
        ("The user: hi", ["user"], "hi"),
        ("Dr. Eva van der Berg: hi", ["dr", "eva", "van", "der", "berg"], "hi"),
        ("小明\uff1a你好", ["小明", "明"], "你好"),
    ],
)
def test_a_speakers_label_is_taken_off_the_text_and_the_date_is_not(
    observation: str, who: list[str], text: str
) -> None:
    assert observe(observation) == (who, bool(who), text)


@pytest.mark.parametrize(
    ("observation", "who"),
    [
        ("Caroline likes tea", ["carolin"]),
        ("8 May 2023 Melanie's kids are excited", ["melani"]),
        ("Melanie and Caroline went out", ["melani", "carolin"]),
        ("User prefers dark mode", ["user"]),
        ("The user prefers dark mode", ["user"]),
        ("the user\u2019s dog barks", ["user"]),
        ("James likes tea", ["jame"]),
        ("PRJ-001 uses Postgres", ["prj", "001"]),
        ("Prefers tea over coffee", []),
        ("Uses Postgres for storage", []),
        ("Parked outside the house", []),
        ("Always answers in French", []),
        ("She likes tea", []),
        ("The dog barks", []),
        ("likes tea", []),
        ("http://example.com/a: down", []),
        ("10:31 lunch", []),
        ("Note to self: buy milk", ["note"]),
        ("favourite colour: blue", []),
        ("New York", []),
        ("'s: ", []),
        ("", []),
    ],
)
def test_the_subject_a_sentence_begins_with_is_told_and_stays_in_the_text(observation: str, who: list[str]) -> None:
    assert observe(observation) == (who, False, observation)
    assert subject_and_body(observation) == (who, analyse(observation))


@given(TEXTS)
def test_what_follows_a_label_is_kept_to_the_letter(text: str) -> None:
    assert observe(f"Ann: {text}").text == text.lstrip()
    assert observe(f"8 May 2023 Ann: {text}").text == "8 May 2023 " + text.lstrip()


@given(TEXTS)
def test_the_text_of_an_observation_without_a_label_is_the_observation(text: str) -> None:
    seen = observe(text)
    assert seen.said or seen.text == text
