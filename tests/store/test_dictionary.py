"""Preset dictionaries: the shipped one is what its script makes, a trained one tells nobody what one entity says."""

from __future__ import annotations

import hashlib
import importlib.util
import random
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhanced_memory.store.sqlite import dictionary
from enhanced_memory.store.sqlite.codec import DICTIONARY_BYTES, PICKLE_STARTS, Codec, checksum
from enhanced_memory.store.sqlite.dictionary import SHIPPED, train

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "enhanced_memory" / "store" / "sqlite" / "data" / "words-1.dict"

VERBS = ["repairs", "paints", "forgets", "borrows", "photographs", "collects"]
THINGS = ["the blue rowing boat", "an accordion from Graz", "seven wicker baskets", "the neighbour's weather vane"]
HABITS = [f"Marta {verb} {thing} every {day}" for verb in VERBS for thing in THINGS for day in ("spring", "autumn")]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """scripts/build_dictionary.py."""
    spec = importlib.util.spec_from_file_location("build_dictionary", ROOT / "scripts" / "build_dictionary.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stored_bytes(data: dict[str, Any], preset: bytes) -> int:
    """Size of the blob with this dictionary; it is read again on the way."""
    codec = Codec({1: preset}, 1)
    blob = codec.encode(data)
    assert codec.decode(blob, checksum(blob)) == data
    return len(blob)


# ------------------------------------------------------------------------------------------------ shipped


def test_the_shipped_dictionary_is_the_file_as_it_was_made() -> None:
    assert FILE.read_bytes() == SHIPPED
    assert hashlib.sha256(SHIPPED).hexdigest() == "e75cbb5c8e416ab5fd60b0d7a43133719c3faad5c05647e3a6831f818b0726c8"


def test_a_changed_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dictionary, "_SHIPPED_SHA256", hashlib.sha256(SHIPPED + b" ").hexdigest())
    with pytest.raises(RuntimeError, match="damaged"):
        dictionary._shipped()


def test_the_shipped_dictionary_ends_with_what_the_script_says(script: ModuleType) -> None:
    own = script.build([])
    assert SHIPPED.endswith(own)
    assert own.endswith(PICKLE_STARTS)
    assert re.fullmatch(rb"[a-z]+( [a-z]{3,})+", SHIPPED.removesuffix(own))


def test_the_script_makes_a_dictionary_of_one_size_again_and_again(script: ModuleType) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [a + b + c + d for a in letters for b in letters[:12] for c in letters[:5] for d in letters[:6]]
    first = script.build(["[PAD]"] * script.FIRST_WORD + words)
    assert len(first) == DICTIONARY_BYTES
    assert first == script.build(["[PAD]"] * script.FIRST_WORD + words)


def test_frequent_words_stand_nearer_to_the_end_than_rare_ones_of_their_length() -> None:
    assert SHIPPED.rindex(b" would ") > SHIPPED.rindex(b" rural ")


@pytest.mark.parametrize(
    "data",
    [
        {"observations": ["Prefers green tea in the morning", "Lives in Lisbon with two children"]},
        {"observations": ["The build takes 12 minutes because the tests run one after another"]},
        {"add": ["Moved to Berlin in 2024"]},
    ],
)
def test_the_shipped_dictionary_makes_short_memories_smaller(data: dict[str, Any]) -> None:
    assert stored_bytes(data, SHIPPED) < 0.75 * stored_bytes(data, b"")


# ------------------------------------------------------------------------------------------------ trained


def test_training_helps_text_like_that_it_learned_from() -> None:
    data = {"observations": ["Marta paints the neighbour's weather vane", "Jonas borrows seven wicker baskets"]}
    assert stored_bytes(data, train(HABITS)) < 0.8 * stored_bytes(data, SHIPPED)


def test_the_order_of_the_texts_makes_no_difference() -> None:
    shuffled = HABITS * 2
    random.Random(5).shuffle(shuffled)
    assert train(shuffled) == train(HABITS)


@given(st.lists(st.text(max_size=40)), st.integers(len(PICKLE_STARTS), 60_000))
def test_a_dictionary_keeps_to_its_size_and_ends_with_the_start_of_a_pickle(texts: list[str], size: int) -> None:
    trained = train(texts, size)
    assert len(trained) <= size
    assert trained.endswith(PICKLE_STARTS)


@given(st.lists(st.text(max_size=40), max_size=5))
def test_any_text_is_read_again_with_a_dictionary_made_of_it(texts: list[str]) -> None:
    assert stored_bytes({"observations": texts}, train(texts * 3)) > 0


def test_however_much_is_learned_the_end_of_the_shipped_dictionary_stays() -> None:
    chance = random.Random(3)
    words = ["".join(chance.choices("bcdfghjklmnpqrstvwxz", k=9)) for _ in range(4_000)]
    lines = [" ".join(words[at : at + 40]) for at in range(0, len(words), 40)]
    trained = train([f"{line} {n}" for line in lines for n in range(3)])
    learned = {word for word in words if word.encode() in trained}
    assert 9 * len(learned) > 15_000
    assert SHIPPED[-8_000:] in trained
    other = {"observations": ["The user prefers to work from home on Friday", "Lives in Lisbon with two children"]}
    assert stored_bytes(other, trained) < 1.25 * stored_bytes(other, SHIPPED)


def test_room_that_is_left_holds_the_shipped_dictionary() -> None:
    trained = train(HABITS)
    assert len(trained) == DICTIONARY_BYTES
    assert SHIPPED[-20_000:] in trained
    assert train([])[-len(PICKLE_STARTS) * 2 :] == PICKLE_STARTS * 2


def test_what_fewer_than_three_texts_say_stays_out() -> None:
    alone = "The alarm code of the boat house is 7431-kestrel"
    twice = "Jonas owes 512 crowns to the glazier"
    trained = train([*HABITS, alone, f"{HABITS[0]}\n{twice}", f"{HABITS[1]}\n{twice}", "\n".join([alone] * 5)])
    for secret in (b"7431-k", b"kestrel", b"512 cro", b"glazier"):
        assert secret not in trained
    assert b"weather vane" in trained


def test_what_three_texts_share_is_learned() -> None:
    assert b"the glazier" in train([f"{day} with the glazier" for day in ("Monday", "Tuesday", "Friday")])


def test_the_most_frequent_stands_nearest_to_the_end() -> None:
    rare = [f"{n} xylophones were tuned" for n in range(3)]
    frequent = [f"{n} barometers were polished" for n in range(90)]
    trained = train([*rare, *frequent])
    assert trained.rindex(b"barometers") > trained.rindex(b"xylophones")


def test_of_much_text_a_sample_over_the_whole_is_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dictionary, "_SAMPLE_CHARACTERS", 500)
    texts = dictionary._sample(HABITS)
    assert len(texts) < len(HABITS) / 2
    assert sum(map(len, texts)) <= 500 + max(map(len, texts))
    assert HABITS.index(texts[-1]) > len(HABITS) * 0.8
