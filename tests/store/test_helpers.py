"""What helping processes do for the store, done here by `Snapshots` of the same database, as they have them."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from enhanced_memory.store.base import Change, Draft, Match, Transaction
from enhanced_memory.store.base import Filter as Wanted
from enhanced_memory.store.sqlite.codec import dictionary_of
from enhanced_memory.store.sqlite.drafts import WORTH_A_PROCESS
from enhanced_memory.store.sqlite.snapshots import Snapshots
from enhanced_memory.store.sqlite.store import SQLiteStore
from tests.conftest import PROMPTLY_S
from tests.store.conftest import Analyser

Mend = Callable[[Any], Any]


class Helping:
    """Does each task in the thread that asks; `mend` changes what came of it, and `done` tells which there were."""

    def __init__(self, path: str, mend: Mend = lambda made: made) -> None:
        self._path = path
        self._mend = mend
        self.done: queue.SimpleQueue[str] = queue.SimpleQueue()

    def begin(self, task: str, data: Any, timeout_s: float, *, patiently: bool = False) -> Callable[[], Any] | None:
        sent = json.loads(json.dumps(data))
        made = self._mend(json.loads(json.dumps(Snapshots(self._path, Analyser()).do(task, sent, timeout_s))))
        self.done.put(task)
        return lambda: made


@pytest.fixture
def opened(path: str) -> Iterator[Callable[[Mend], tuple[SQLiteStore, Helping]]]:
    """Opens a store that has help, whose work a function may change."""
    stores: list[SQLiteStore] = []

    def open_store(mend: Mend) -> tuple[SQLiteStore, Helping]:
        helping = Helping(path, mend)
        stores.append(SQLiteStore(path, Analyser(), helpers=helping))
        return stores[-1], helping

    yield open_store
    for store in stores:
        store.close()


def create_together(store: SQLiteStore, texts: dict[str, list[str]]) -> list[BaseException | None]:
    """Create entities of these names and observations in one group; what became of each."""
    queued = threading.Event()
    told: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def creating(draft: Draft) -> Callable[[Transaction], Any]:
        return lambda tx: tx.entities.create(draft, Change("created"))

    store.write_later(lambda _: queued.wait(PROMPTLY_S), "default", 10.0, lambda *_: None)
    for name, observations in texts.items():
        draft = Draft(name, "thing", observations)
        store.write_later(creating(draft), "default", 10.0, lambda _, error: told.put(error), [draft])
    queued.set()
    return [told.get(timeout=PROMPTLY_S) for _ in texts]


TEXTS = {f"hive {number}": [f"Ann keeps bees in hive {number}", "it stands in Porto"] for number in range(9)}


def stored(store: SQLiteStore) -> list[Any]:
    """The entities with their stored bytes, and what the index finds of them."""

    def work(tx: Transaction) -> list[Any]:
        found = tx.entities.page(0, 99)
        hits = tx.index.best(Match(any_of=[("porto",), ("hive",)]), Wanted(), 99)
        return [
            [(each.name, each.observations, each.checksum, each.original_bytes) for each in found],
            sorted((hit.entity_id, hit.slot) for hit in hits),
        ]

    return store.read(work, "default", 10.0)


@pytest.mark.parametrize(
    "mend",
    [
        lambda made: made,
        lambda made: None,
        lambda made: [None, *made[1:]],
        lambda made: made[1:],
        lambda made: ["nonsense"] * len(made),
    ],
    ids=["as it is", "lost", "one that is too large", "of other drafts", "nonsense"],
)
def test_a_group_is_stored_and_found_alike_with_help_without_it_and_with_bad_help(
    opened: Callable[[Mend], tuple[SQLiteStore, Helping]], mend: Mend, tmp_path: Any
) -> None:
    store, helping = opened(mend)
    assert create_together(store, TEXTS) == [None] * len(TEXTS)
    assert helping.done.get(timeout=PROMPTLY_S) == "make ready"
    with closing(SQLiteStore(str(tmp_path / "alone.db"), Analyser())) as alone:
        create_together(alone, TEXTS)
        assert stored(store) == stored(alone)


def test_what_was_made_ready_with_a_dictionary_that_is_no_longer_used_is_packed_anew(
    opened: Callable[[Mend], tuple[SQLiteStore, Helping]],
) -> None:
    store, _ = opened(lambda made: [[blob, digest, size, 99, fields] for blob, digest, size, _, fields in made])
    assert create_together(store, TEXTS) == [None] * len(TEXTS)
    blobs = store.read(
        lambda tx: [row[0] for row in tx.entities._scope.connection.execute("SELECT compressed_data FROM entities")],  # type: ignore[attr-defined]
        "default",
        10.0,
    )
    assert {dictionary_of(blob) for blob in blobs} == {1}


def test_a_text_that_cannot_be_sent_fails_in_its_turn_and_takes_nothing_with_it(
    opened: Callable[[Mend], tuple[SQLiteStore, Helping]],
) -> None:
    store, _ = opened(lambda made: made)
    texts = {f"n{number}": ["a fact"] for number in range(WORTH_A_PROCESS)} | {"bad": ["half a \ud800 pair"]}
    assert [type(error) for error in create_together(store, texts)][-1] is UnicodeEncodeError
    assert len(store.read(lambda tx: tx.entities.page(0, 99), "default", 10.0)) == WORTH_A_PROCESS


def test_a_dictionary_of_the_stores_own_words_is_the_same_with_help_and_without(
    opened: Callable[[Mend], tuple[SQLiteStore, Helping]], tmp_path: Any
) -> None:
    store, helping = opened(lambda made: made)
    made = []
    with closing(SQLiteStore(str(tmp_path / "alone.db"), Analyser())) as alone:
        for each in (store, alone):
            for page in range(3):
                drafts = [
                    Draft(f"hive {page} {number}", "thing", [f"Ann keeps the bees of hive {number * 7} in Porto"])
                    for number in range(200)
                ]
                each.write(
                    lambda tx, drafts=drafts: [tx.entities.create(draft, Change("created")) for draft in drafts],  # type: ignore[misc]
                    "default",
                    10.0,
                )
            while not (rows := each.read(dictionaries, "default", 10.0)):
                pass
            made.append(rows)
    assert helping.done.get(timeout=PROMPTLY_S) == "train"
    assert made[0] == made[1]


def test_a_dictionary_whose_words_were_erased_while_it_was_made_is_not_kept(
    opened: Callable[[Mend], tuple[SQLiteStore, Helping]],
) -> None:
    erased = "the key of the hive lies under Quillfeather's stone"
    stores: list[SQLiteStore] = []
    scrubbed: list[str] = []

    def purge_meanwhile(made: Any) -> Any:
        if isinstance(made, str) and not scrubbed:
            scrubbed.append(made)
            gone = lambda tx: [tx.entities.purge(each) for each in tx.entities.page(0, 600)]  # noqa: E731
            stores[0].write(gone, "default", 10.0)
            stores[0].scrub([[erased]], 10.0)
        return made

    store, helping = opened(purge_meanwhile)
    stores.append(store)
    for page in range(2):
        text = erased if page == 0 else "Ann keeps the bees of the hive in Porto"
        drafts = [Draft(f"hive {page} {number}", "thing", [f"{text} {number}"]) for number in range(600)]
        store.write(
            lambda tx, drafts=drafts: [tx.entities.create(draft, Change("created")) for draft in drafts],  # type: ignore[misc]
            "default",
            10.0,
        )
    while not (rows := store.read(dictionaries, "default", 10.0)):
        pass
    assert "Quillfeather" in scrubbed[0]
    assert helping.done.get(timeout=PROMPTLY_S) == "train"
    assert [b"Quillfeather" in each for each in rows] == [False]


def dictionaries(tx: Any) -> list[Any]:
    """The dictionaries made of the store's own words."""
    found = tx.entities._scope.connection.execute("SELECT data FROM dictionaries WHERE trained_on > 0")
    return [row[0] for row in found]
