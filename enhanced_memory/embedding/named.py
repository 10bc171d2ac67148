"""Models that the user names: run by fastembed or sentence-transformers, from files that are on this machine already.

Above it lies `base`; below it those packages, which the user installs. Neither is let download anything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

_MULTIPLE = 64
"""Vectors are filled up with zeros to a multiple of this, which changes no likeness."""


class NamedModel:
    """A model behind one function from texts to rows of numbers."""

    def __init__(self, name: str, run: Callable[[list[str]], Iterable[Any]]) -> None:
        self.name = name
        self._run = run
        self._lock = threading.Lock()  # the packages promise nothing about threads
        self.dimensions = len(self.embed(["dimensions"])[0]) // 2

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """A vector for each text, made length 1."""
        import numpy

        if not texts:
            return []
        with self._lock:
            rows = numpy.array(list(self._run(list(texts))), numpy.float32)
        lengths = numpy.linalg.norm(rows, axis=1, keepdims=True)
        filled = numpy.pad(rows / numpy.maximum(lengths, 1e-12), ((0, 0), (0, -rows.shape[1] % _MULTIPLE)))
        return [row.tobytes() for row in filled.astype("<f2")]


def open_fastembed(model: str) -> NamedModel:
    """A model of fastembed, by the name it has there."""
    import fastembed

    loaded = fastembed.TextEmbedding(model, local_files_only=True)
    return NamedModel(f"fastembed:{model}", loaded.embed)


def open_sentence_transformer(model: str) -> NamedModel:
    """A model of sentence-transformers, by its name or folder."""
    import sentence_transformers

    loaded = sentence_transformers.SentenceTransformer(model, local_files_only=True)
    return NamedModel(f"sentence-transformers:{model}", loaded.encode)
