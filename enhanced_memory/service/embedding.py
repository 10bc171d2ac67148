"""The maker of vectors: a thread that loads the model, then gives every observation its vector, in the background.

Above it lies the dispatcher; below it the embedders and the store. Searches go on by words until the model is loaded,
and find by meaning what has its vector by then.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

from enhanced_memory.embedding.base import Embedder
from enhanced_memory.errors import EnhancedMemoryError, ReadOnly, ShuttingDown
from enhanced_memory.rules.wording import statement
from enhanced_memory.store.base import Store, Transaction, Unembedded

_BATCH = 16
"""Texts in one run of the model, and vectors in one write: a fifth of a second of work."""

_PAGE = 200
"""Entities looked through at once."""

_KEPT = 64
"""Questions whose vectors are kept: a long page is ranked in steps, and the next page asks the same."""

_TIMEOUT_S = 30.0
_AGAIN_AFTER_S = 5.0
_NICE = 10

_ANY = "default"
"""Vectors are made for all namespaces; the transactions need one all the same."""

log = logging.getLogger(__name__)


class VectorMaker:
    """The model, and the thread that makes vectors with it. `load` gives the embedder, and runs in the thread."""

    def __init__(self, store: Store, name: str, load: Callable[[], Embedder]) -> None:
        self.model = name
        self._store = store
        self._load = load
        self._embedder: Embedder | None = None
        self.ready = False
        self._kept = lru_cache(_KEPT)(self._made)
        self._changed = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vectors", daemon=True)
        self._thread.start()

    @property
    def is_working(self) -> bool:
        """Whether vectors are being made, or waited for; not after the model failed."""
        return self._thread.is_alive()

    def vector(self, text: str) -> bytes:
        """The text's vector. Only when it is ready."""
        return self._kept(text)

    def close(self) -> None:
        """End the thread; what has no vector yet gets it after the next start."""
        self._closing.set()
        self._changed.set()
        self._thread.join()

    def _made(self, text: str) -> bytes:
        assert self._embedder is not None
        return self._embedder.embed([text])[0]

    def _run(self) -> None:
        with contextlib.suppress(OSError, AttributeError):  # on Linux a thread may be nice by itself
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        try:
            self._embedder = embedder = self._load()
            self.model = embedder.name
            while not self._closing.is_set():
                try:
                    self._follow(embedder)
                except (ShuttingDown, ReadOnly) as error:
                    log.info("no more vectors are made: %s", error)
                    return
                except EnhancedMemoryError as error:
                    log.warning("vectors could not be made and will be tried again: %s", error)
                    self._closing.wait(_AGAIN_AFTER_S)
        except Exception as error:  # of packages that are not ours; the service goes on without meaning
            self.ready = False
            log.warning("search by meaning is off: %s", error, exc_info=not isinstance(error, EnhancedMemoryError))

    def _follow(self, embedder: Embedder) -> None:
        """Make the vectors that are missing, then those of what is changed, until the end."""
        self._store.write(
            lambda tx: tx.vectors.begin(embedder.name, embedder.dimensions, self._changed.set), _ANY, _TIMEOUT_S
        )
        self.ready = True
        after: int | None = 0
        while after is not None and not self._closing.is_set():
            missing, after = self._store.read(partial(_missing, after), _ANY, _TIMEOUT_S)
            self._make(embedder, missing)
        while not self._closing.is_set():
            self._changed.wait()
            self._changed.clear()
            # In a write, since the observations of which it was told may not be committed before.
            while changed := self._store.write(_take_changed, _ANY, _TIMEOUT_S):
                self._make(embedder, self._store.read(partial(_missing_of, changed), _ANY, _TIMEOUT_S))

    def _make(self, embedder: Embedder, missing: Sequence[Unembedded]) -> None:
        """Vectors for these, in small writes; texts of like length together, which saves the model work."""
        worded = sorted(((statement(each.text), each) for each in missing), key=lambda item: len(item[0]))
        for start in range(0, len(worded), _BATCH):
            if self._closing.is_set():
                return
            batch = worded[start : start + _BATCH]
            vectors = embedder.embed([text for text, _ in batch])
            made = [(each, vector) for (_, each), vector in zip(batch, vectors, strict=True)]
            self._store.write(partial(_put, made), _ANY, _TIMEOUT_S)


def _missing(after: int, tx: Transaction) -> tuple[list[Unembedded], int | None]:
    return tx.vectors.missing(after, _PAGE)


def _missing_of(ids: Sequence[int], tx: Transaction) -> list[Unembedded]:
    return tx.vectors.missing_of(ids)


def _take_changed(tx: Transaction) -> list[int]:
    return tx.vectors.take_changed(_PAGE)


def _put(made: Sequence[tuple[Unembedded, bytes]], tx: Transaction) -> None:
    tx.vectors.put(made)
