"""The estimate of tokens against real tokenizers."""

from __future__ import annotations

import json
import random
from pathlib import Path

import bpe_openai  # type: ignore[import-untyped]
import pytest

from enhanced_memory.rules import budget

ENCODINGS = [bpe_openai.get_encoding(name) for name in ("cl100k_base", "o200k_base")]
DICE = random.Random(5)
PROSE = (
    "Ann moved to Lisbon in May and works at a small observatory now. She still calls her sister every Sunday, plays "
    "the oboe, and doesn't drink coffee after noon; 'too many sleepless nights', she says.\n"
)
TEXTS = {
    "prose": PROSE * 5,
    "code": Path(budget.__file__).read_text(encoding="utf-8"),
    "json": json.dumps([{"name": f"entity {n}", "entityType": "note", "observations": [PROSE]} for n in range(20)]),
    "digests": "\n".join(f"{DICE.getrandbits(256):064x}" for _ in range(50)),
    "letters": " ".join("".join(DICE.choices("abcdefghijklmnopqrstuvwxyz", k=8)) for _ in range(300)),
    "codes": " ".join("".join(DICE.choices("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789-", k=12)) for _ in range(200)),
    "numbers": " ".join(str(DICE.getrandbits(60)) for _ in range(100)),
    "signs": "!?;:—«»{}[]()<>|/\\~`^" * 20,
    "pictures": "😀🎉🔥👩‍👩‍👧‍👦🇩🇪 " * 20,
    "german": "Wir waren gestern im Park; übermorgen gehen wir in die Bücherei.\n" * 10,
    "russian": "Мы вчера ходили в парк и видели много цветов.\n" * 10,
    "chinese": "我们昨天去了公园，看到了很多花。明天还要去图书馆借书。" * 10,  # noqa: RUF001 - a Chinese comma
    "japanese": "昨日は公園に行って、たくさんの花を見ました。カタカナもあります。" * 10,
    "hindi": "हम कल पार्क गए थे और बहुत सारे फूल देखे। " * 10,
    "arabic": "ذهبنا أمس إلى الحديقة ورأينا الكثير من الزهور " * 10,
    "thai": "เมื่อวานเราไปสวนสาธารณะและเห็นดอกไม้มากมาย " * 10,
}


@pytest.mark.parametrize("kind", TEXTS)
def test_the_estimate_is_never_below_a_real_tokenizers_count(kind: str) -> None:
    counted = max(len(encoding.encode(TEXTS[kind])) for encoding in ENCODINGS)
    assert budget.estimated_tokens(TEXTS[kind]) >= counted


def test_english_prose_is_estimated_at_most_at_twice_its_tokens() -> None:
    counted = min(len(encoding.encode(TEXTS["prose"])) for encoding in ENCODINGS)
    assert budget.estimated_tokens(TEXTS["prose"]) <= 2 * counted


def test_an_empty_text_costs_nothing() -> None:
    assert budget.estimated_tokens("") == 0
