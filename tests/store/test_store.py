"""The store: transactions, groups, histories and the index, on real files."""

from __future__ import annotations

import math
import os
import queue
import random
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from enhanced_memory.errors import Busy, Corrupt, DiskFull, ShuttingDown, TimedOut
from enhanced_memory.rules import text
from enhanced_memory.store.base import Change, Draft, Filter, Finding, Match, Transaction
from enhanced_memory.store.sqlite.codec import dictionary_of
from enhanced_memory.store.sqlite.drafts import WORTH_A_THREAD
from enhanced_memory.store.sqlite.indexing import entity_and_slot, row_number
from enhanced_memory.store.sqlite.store import SQLiteStore
from tests.conftest import PROMPTLY_S
from tests.store.conftest import Analyser, Run

CREATED = Change("created")
UPDATED = Change("updated")


def connection_of(tx: Any) -> sqlite3.Connection:
    """The connection beneath a transaction, for what only SQLite can tell."""
    connection: sqlite3.Connection = tx.entities._scope.connection
    return connection


def matches(word: str) -> Any:
    """The index rows that hold a word."""
    return lambda tx: tx.index.best(Match(any_of=[(word,)]), Filter(), 9)


def create(name: str, *observations: str) -> Any:
    return lambda tx: tx.entities.create(Draft(name, "thing", list(observations)), CREATED)


def test_what_a_request_raises_takes_back_its_changes_and_no_others(store: SQLiteStore, read: Run) -> None:
    barrier = threading.Barrier(8)
    outcomes: dict[int, str] = {}

    def client(number: int) -> None:
        def work(tx: Transaction) -> None:
            create(f"e{number}", f"unicorn{number}")(tx)
            if number % 2:
                raise ValueError("changed its mind")

        barrier.wait()
        try:
            store.write(work, "default", 10.0)
            outcomes[number] = "kept"
        except ValueError:
            outcomes[number] = "raised"

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == {number: "raised" if number % 2 else "kept" for number in range(8)}
    assert read(lambda tx: {e.name for e in tx.entities.page(0, 100)}) == {"e0", "e2", "e4", "e6"}
    for number in range(8):
        hits = read(matches(f"unicorn{number}"))
        assert len(hits) == (0 if number % 2 else 1)


def test_writers_that_wait_are_committed_together(store: SQLiteStore, write: Run) -> None:
    writer_is_busy, let_it_go = threading.Event(), threading.Event()

    def hold(tx: Transaction) -> None:
        writer_is_busy.set()
        assert let_it_go.wait(PROMPTLY_S)

    holder = threading.Thread(target=write, args=(hold,))
    holder.start()
    assert writer_is_busy.wait(PROMPTLY_S)
    threads = [threading.Thread(target=write, args=(create(f"e{n}"),)) for n in range(20)]
    for thread in threads:
        thread.start()
    deadline = threading.Event()
    while store.gauges()["queue_depth"] < 20:
        assert not deadline.wait(0.001)
    before = store.gauges()["commits"]
    let_it_go.set()
    for thread in [holder, *threads]:
        thread.join()
    assert store.gauges()["commits"] - before == 2


def test_a_full_queue_answers_busy_at_once(path: str) -> None:
    store = SQLiteStore(path, Analyser(), max_queue=1)
    running, let_go = threading.Event(), threading.Event()

    def hold(tx: Transaction) -> None:
        running.set()
        assert let_go.wait(PROMPTLY_S)

    holder = threading.Thread(target=store.write, args=(hold, "default", 10.0))
    holder.start()
    assert running.wait(PROMPTLY_S)
    waiting = threading.Thread(target=store.write, args=(create("a"), "default", 10.0))
    waiting.start()
    pause = threading.Event()
    while store.gauges()["queue_depth"] < 1:
        assert not pause.wait(0.001)
    with pytest.raises(Busy):
        store.write(create("b"), "default", 10.0)
    let_go.set()
    holder.join()
    waiting.join()
    store.close()


def test_a_write_whose_turn_does_not_come_in_time_is_busy_and_never_runs(store: SQLiteStore, read: Run) -> None:
    running, let_go = threading.Event(), threading.Event()

    def hold(tx: Transaction) -> None:
        running.set()
        assert let_go.wait(PROMPTLY_S)

    holder = threading.Thread(target=store.write, args=(hold, "default", 10.0))
    holder.start()
    assert running.wait(PROMPTLY_S)
    with pytest.raises(Busy):
        store.write(create("late"), "default", 0.05)
    let_go.set()
    holder.join()
    store.write(create("next"), "default", 10.0)
    assert read(lambda tx: tx.entities.find("late")) is None


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


def test_a_read_and_a_write_over_their_time_are_stopped(store: SQLiteStore, read: Run) -> None:
    def endless(tx: Any) -> None:
        connection_of(tx).execute(ENDLESS).fetchone()

    def half(tx: Any) -> None:
        create("half")(tx)
        endless(tx)

    with pytest.raises(TimedOut):
        store.read(endless, "default", 0.1)
    with pytest.raises(TimedOut):
        store.write(half, "default", 0.1)
    assert read(lambda tx: tx.entities.find("half")) is None
    store.write(create("after"), "default", 10.0)
    assert read(lambda tx: tx.entities.find("after")) is not None


def test_a_full_disk_takes_nothing_back_that_fits_and_writing_goes_on(
    store: SQLiteStore, write: Run, read: Run
) -> None:
    def limit_pages(pages: int) -> None:
        write(lambda tx: connection_of(tx).execute(f"PRAGMA max_page_count = {pages}"))

    write(create("before", "small"))
    limit_pages(read(lambda tx: connection_of(tx).execute("PRAGMA page_count").fetchone()[0]) + 2)
    noise = random.Random(1).randbytes(40_000).hex()
    with pytest.raises(DiskFull):
        write(create("too much", *[noise[n : n + 1000] for n in range(0, 80_000, 1000)]))
    assert read(lambda tx: [e.name for e in tx.entities.page(0, 9)]) == ["before"]
    limit_pages(1_000_000)
    write(create("after", "small"))
    assert read(lambda tx: [e.name for e in tx.entities.page(0, 9)]) == ["before", "after"]


def test_a_closed_store_answers_shutting_down(path: str) -> None:
    store = SQLiteStore(path, Analyser())
    store.close()
    with pytest.raises(ShuttingDown):
        store.write(create("a"), "default", 1.0)
    with pytest.raises(ShuttingDown):
        store.read(lambda tx: None, "default", 1.0)


def test_a_search_in_a_write_sees_its_own_and_earlier_writes(write: Run) -> None:
    def work(tx: Transaction) -> int:
        create("a", "zebra")(tx)
        return len(tx.index.best(Match(any_of=[("zebra",)]), Filter(), 9))

    assert write(work) == 1


def test_reads_count_as_accesses_without_a_write_of_their_own(store: SQLiteStore, path: str) -> None:
    entity = store.write(create("a"), "default", 10.0)
    for _ in range(3):
        store.read(lambda tx: tx.entities.count_accesses([entity.id]), "default", 10.0)
    store.close()
    with sqlite3.connect(path) as db:
        (count,) = db.execute("SELECT access_count FROM entities").fetchone()
    assert count == 3


def test_every_version_reads_back_after_any_history(write: Run, read: Run) -> None:
    dice = random.Random(7)
    model: list[tuple[str, tuple[str, ...]]] = [("a", ("start",))]
    write(create("a", "start"))
    for step in range(300):
        name, observations = model[-1]
        wanted = list(observations)
        match dice.randrange(5):
            case 0 | 1:
                wanted += [f"added {step} {dice.random()}"]
            case 2 if len(wanted) > 1:
                wanted.pop(dice.randrange(len(wanted)))
            case 3:
                dice.shuffle(wanted)
            case 4:
                name = f"a{step}"

        def work(tx: Transaction, old: str = model[-1][0], new: str = name, wanted: list[str] = wanted) -> int:
            entity = tx.entities.find(old)
            assert entity is not None
            return tx.entities.update(entity, UPDATED, name=new, observations=wanted).version

        version = write(work)
        if version > len(model):
            model.append((name, tuple(wanted)))
        assert version == len(model)

    def history(tx: Transaction) -> list[tuple[str, tuple[str, ...]]]:
        entity = tx.entities.find(model[-1][0])
        assert entity is not None
        found = [tx.versions.read(entity, version) for version in range(1, entity.version + 1)]
        return [(past.name, past.observations) for past in found if past is not None]

    assert read(history) == model


def test_the_index_holds_exactly_the_words_of_what_is_there(store: SQLiteStore, write: Run, path: str) -> None:
    dice = random.Random(3)
    words = [f"word{n}" for n in range(30)]

    def step(tx: Transaction) -> None:
        name = f"e{dice.randrange(6)}"
        entity = tx.entities.find(name)
        wanted = list(dict.fromkeys(" ".join(dice.choices(words, k=3)) for _ in range(dice.randrange(12))))
        if entity is None:
            tx.entities.create(Draft(name, "thing", wanted), CREATED)
        elif dice.random() < 0.2:
            tx.entities.delete(entity, Change("deleted"))
        else:
            tx.entities.update(entity, UPDATED, observations=wanted)

    for _ in range(200):
        write(step)
    expected: dict[str, set[int]] = {}
    for entity in store.read(lambda tx: tx.entities.page(0, 100), "default", 10.0):
        rows = [(0, [*text.analyse(entity.name), *text.analyse(entity.entity_type)])]
        for place, observation in enumerate(entity.observations):
            slot = place + 1 if entity.slots is None else entity.slots[place]
            who, body = text.subject_and_body(observation)
            rows.append((slot, [*who, *body]))
        for slot, tokens in rows:
            for token in tokens:
                expected.setdefault(token, set()).add(row_number(entity.id, slot))
    store.close()
    with sqlite3.connect(path) as db:
        db.execute("CREATE VIRTUAL TABLE temp.v USING fts5vocab(main, search_index, instance)")
        found: dict[str, set[int]] = {}
        for term, row in db.execute("SELECT term, doc FROM v"):
            found.setdefault(term, set()).add(row)
        db.execute("INSERT INTO search_index (search_index) VALUES ('integrity-check')")
    assert found == expected


def test_rows_rank_by_how_often_they_have_the_word_and_not_by_their_length(write: Run, read: Run) -> None:
    fillers = [" ".join(f"filler{n}x{m}" for m in range(n % 30)) for n in range(60)]
    write(create("short", "zebra"))
    write(create("long", "zebra " + " ".join(f"other{n}" for n in range(40))))
    write(create("twice", "zebra zebra " + " ".join(f"more{n}" for n in range(40))))
    write(create("said", "zebra: quiet"))
    for number, filler in enumerate(fillers):
        write(create(f"f{number}", filler))
    hits = {hit.entity_id: hit.score for hit in read(matches("zebra"))}
    idf = math.log((read(lambda tx: tx.index.rows()) - 4 + 0.5) / (4 + 0.5))
    expected = {1: 1.0, 2: 1.0, 3: 2.0, 4: 4.0}
    assert hits == {number: pytest.approx(idf * n * 2.2 / (n + 1.2)) for number, n in expected.items()}


@pytest.mark.parametrize("words", [1, 2, 5, 10, 11, 12, 40])
def test_the_row_with_the_word_more_often_is_better_however_long_rows_are(write: Run, read: Run, words: int) -> None:
    for number in range(8):
        write(create(f"e{number}", " ".join(f"w{number}x{m}" for m in range(words))))
    write(create("once", "zebra"))
    write(create("often", "zebra zebra zebra"))
    best = read(matches("zebra"))
    assert [hit.entity_id for hit in best] == [10, 9]
    assert best[0].score > best[1].score > 0


def test_of_rows_with_several_words_the_newest_are_given_however_many_there_are(write: Run, read: Run) -> None:
    for number in range(25):
        write(create(f"e{number}", "amber lantern", "amber", "lantern"))
    every = [(hit.entity_id, hit.slot) for hit in read(partial(both, one="amber", other="lantern", limit=99))]
    assert every == sorted(every, reverse=True)
    assert len(every) == 25
    for limit in (1, 12, 13, 24, 25, 26):
        hits = read(partial(both, one="amber", other="lantern", limit=limit))
        assert [(hit.entity_id, hit.slot) for hit in hits] == every[:limit]


def both(tx: Any, one: str, other: str, limit: int) -> Any:
    return tx.index.best(Match(all_of=[(one,), (other,)]), Filter(), limit)


def test_a_conflict_on_record_is_found_without_reading_the_others(write: Run, read: Run) -> None:
    def record(tx: Any) -> None:
        ids = [create(f"e{number}", "x")(tx).id for number in range(60)]
        for one in ids:
            for other in ids[:20]:
                tx.conflicts.record(Finding(f"e{one}", one, f"e{other}", other, "update", 0.5, "update", []))

    def steps(tx: Any) -> int:
        ids = [entity.id for entity in tx.entities.page(0, 60)]
        counted: list[int] = []
        connection = connection_of(tx)
        connection.set_progress_handler(lambda: counted.append(10), 10)
        try:
            assert tx.conflicts.find(ids[55], ids[3], "update") == tx.conflicts.find(ids[3], ids[55], "update")
            assert tx.conflicts.find(ids[55], ids[3], "duplicate") is None
        finally:
            connection.set_progress_handler(None, 0)
        return sum(counted)

    write(record)
    assert read(steps) < 5_000  # reading all 1,000 three times takes ten times as many


def test_a_first_version_tells_what_its_entitys_row_told_before_it_changed(write: Run, read: Run) -> None:
    write(lambda tx: tx.entities.create(Draft("a", "thing", ["x"]), Change("created", author="ann", method="manual")))

    def first(tx: Any) -> Any:
        return tx.versions.read(tx.entities.find_even_deleted("a"), 1)

    told = read(first)
    assert (told.action, told.method, told.author, told.entity_type) == ("created", "manual", "ann", "thing")
    assert told.created_at == read(lambda tx: tx.entities.find("a").created_at)
    noted = read(lambda tx: tx.history.changes(told.created_at, "9999", None, 9))
    assert [(note.action, note.place[0]) for note in noted] == [("created", told.created_at)]
    write(lambda tx: tx.entities.update(tx.entities.find("a"), UPDATED, entity_type="other", observations=["y"]))
    assert read(first) == told
    write(lambda tx: tx.entities.delete(tx.entities.find("a"), Change("deleted")))
    write(create("a", "z"))
    assert read(first) == told
    then = read(lambda tx: tx.history.at(tx.entities.find("a"), told.created_at))
    assert (then.entity_type, then.observations) == ("thing", ("x",))


def test_drafts_made_ready_are_stored_and_found_as_others_are(store: SQLiteStore, read: Run) -> None:
    texts = ["Ann keeps bees", "the hives stand in Porto"]
    many = WORTH_A_THREAD
    store.write(create("made ready", *texts), "default", 10.0, [Draft("made ready", "thing", texts)] * many)
    store.write(create("in turn", *texts), "default", 10.0)
    store.write(create("otherwise", *texts), "default", 10.0, [Draft("otherwise", "thing", ["nothing of it"])] * many)
    found = read(lambda tx: tx.entities.page(0, 9))
    assert len({(entity.observations, entity.checksum, entity.original_bytes) for entity in found}) == 1
    assert [(hit.entity_id, hit.slot) for hit in read(matches("porto"))] == [(3, 2), (2, 2), (1, 2)]
    assert {hit.entity_id for hit in read(matches("readi"))} == {1}
    assert read(matches("noth")) == []


def test_a_group_made_ready_together_is_stored_and_found_as_each_by_itself(store: SQLiteStore, read: Run) -> None:
    texts = ["Ann keeps bees", "the hives stand in Porto"]
    store.write(create("by itself", *texts), "default", 10.0)
    queued = threading.Event()
    told: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def later(work: Callable[[Transaction], Any], *drafts: Draft) -> None:
        store.write_later(work, "default", 10.0, lambda _, error: told.put(error), drafts)

    later(lambda _: queued.wait(PROMPTLY_S))
    later(create("one", *texts), Draft("one", "thing", texts))
    later(create("other", *texts), Draft("other", "thing", texts))
    later(create("otherwise", *texts), Draft("otherwise", "thing", ["nothing of it"]))
    later(create("one of many", *texts), *[Draft("one of many", "thing", texts)] * WORTH_A_THREAD)
    queued.set()
    assert [told.get(timeout=PROMPTLY_S) for _ in range(5)] == [None] * 5
    found = read(lambda tx: tx.entities.page(0, 9))
    assert len(found) == 5
    assert len({(entity.observations, entity.checksum, entity.original_bytes) for entity in found}) == 1
    assert {(hit.entity_id, hit.slot) for hit in read(matches("porto"))} == {(number, 2) for number in range(1, 6)}
    assert {hit.entity_id for hit in read(matches("other"))} == {3}
    assert read(matches("noth")) == []


def test_a_draft_that_cannot_be_made_ready_fails_in_its_turn_and_takes_nothing_with_it(
    store: SQLiteStore, read: Run
) -> None:
    queued = threading.Event()
    told: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    for name, fact in (("a", "x"), ("b", "half a \ud800 pair"), ("c", "y")):
        if name == "a":
            store.write_later(lambda _: queued.wait(PROMPTLY_S), "default", 10.0, lambda *_: None)
        drafts = [Draft(name, "thing", [fact])]
        store.write_later(create(name, fact), "default", 10.0, lambda _, error: told.put(error), drafts)
    queued.set()
    assert [type(told.get(timeout=PROMPTLY_S)) for _ in range(3)] == [type(None), UnicodeEncodeError, type(None)]
    assert [entity.name for entity in read(lambda tx: tx.entities.page(0, 9))] == ["a", "c"]


def test_a_draft_made_ready_with_a_dictionary_that_was_dropped_is_packed_anew(store: SQLiteStore, read: Run) -> None:
    text = "Ann prefers to keep the bees in the garden behind the house"
    running, queued = threading.Event(), threading.Event()

    def drop(tx: Transaction) -> None:
        running.set()
        assert queued.wait(PROMPTLY_S)
        store._codec.use_dictionary(None)

    dropping = threading.Thread(target=store.write, args=(drop, "default", 10.0))
    dropping.start()
    assert running.wait(PROMPTLY_S)
    creating = threading.Thread(
        target=store.write, args=(create("a", text), "default", 10.0, [Draft("a", "thing", [text])] * WORTH_A_THREAD)
    )
    creating.start()
    while not store.gauges()["queue_depth"]:
        assert creating.is_alive()
    queued.set()
    for thread in (dropping, creating):
        thread.join()
    blob = read(lambda tx: connection_of(tx).execute("SELECT compressed_data FROM entities").fetchone()[0])
    assert dictionary_of(blob) is None
    assert read(lambda tx: tx.entities.find("a").observations) == (text,)


def test_the_log_of_an_erasure_is_emptied_as_soon_as_nobody_reads_an_older_state(
    store: SQLiteStore, write: Run, path: str
) -> None:
    write(create("a", "a fact"))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM entities").fetchone()
        write(lambda tx: tx.entities.purge(tx.entities.find("a")))
        store.scrub([["a fact"]], 10.0)
        assert os.path.getsize(f"{path}-wal") > 0
        assert store.condition().erasure_is_late
        other.execute("ROLLBACK")
        while os.path.getsize(f"{path}-wal"):  # about once a second
            pass
        while store.condition().erasure_is_late:  # at once
            pass
    assert owed(path) == []


def test_what_is_closed_lies_in_the_file_itself_though_another_has_it_open(path: str, tmp_path: Path) -> None:
    with closing(SQLiteStore(path, Analyser())) as store:
        store.write(create("a", "a fact"), "default", 10.0)
        other = sqlite3.connect(path)
        other.execute("SELECT count(*) FROM entities").fetchone()
    shutil.copy(path, tmp_path / "copy.db")
    with closing(other), closing(SQLiteStore(str(tmp_path / "copy.db"), Analyser())) as copied:
        assert copied.read(lambda tx: tx.entities.find("a").observations, "default", 10.0) == ("a fact",)  # type: ignore[union-attr]


def test_a_name_that_was_purged_since_it_was_looked_for_is_created_anew(write: Run, read: Run) -> None:
    write(create("a", "old"))
    write(lambda tx: tx.entities.delete(tx.entities.find("a"), Change("deleted")))

    def purge_and_create(tx: Transaction) -> None:
        deleted = tx.entities.find_even_deleted("a")
        assert tx.entities.find("a") is None
        assert deleted is not None
        tx.entities.purge(deleted)
        create("a", "new")(tx)

    write(purge_and_create)
    entity = read(lambda tx: tx.entities.find("a"))
    assert (entity.id, entity.version, entity.observations) == (2, 1, ("new",))


def test_a_failed_request_of_a_new_namespace_leaves_none_to_the_others_of_its_group(store: SQLiteStore) -> None:
    running, queued = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        running.set()
        assert queued.wait(PROMPTLY_S)

    def fail(tx: Transaction) -> None:
        create("a", "x")(tx)
        raise ValueError("changed its mind")

    def attempt() -> None:
        with pytest.raises(ValueError, match="mind"):
            store.write(fail, "new", 10.0)

    holding = threading.Thread(target=store.write, args=(hold, "default", 10.0))
    holding.start()
    assert running.wait(PROMPTLY_S)
    waiting = [threading.Thread(target=attempt)]
    waiting.append(threading.Thread(target=store.write, args=(create("a", "y"), "new", 10.0)))
    for depth, thread in enumerate(waiting, start=1):
        thread.start()
        while store.gauges()["queue_depth"] < depth:
            assert thread.is_alive()
    queued.set()
    for thread in (holding, *waiting):
        thread.join()
    found: Any = store.read(lambda tx: tx.entities.find("a"), "new", 10.0)
    assert found.observations == ("y",)


@pytest.mark.parametrize("entity_id", [1, 7, 2**33])
@pytest.mark.parametrize("slot", [0, 1, 7, 8, 16_383])
def test_row_numbers_tell_entity_and_place(entity_id: int, slot: int) -> None:
    assert entity_and_slot(row_number(entity_id, slot)) == (entity_id, slot)


def test_another_analyser_makes_the_index_anew(path: str) -> None:
    store = SQLiteStore(path, Analyser())
    store.write(create("a", "zebra stripes"), "default", 10.0)
    store.close()

    class Backwards(Analyser):
        def observation(self, observation: str) -> tuple[list[str], list[str]]:
            return [], [word[::-1] for word in observation.split()]

    other = SQLiteStore(path, Backwards(version=99))
    hits = {word: len(other.read(matches(word), "default", 5.0)) for word in ("zebra", "arbez")}
    other.close()
    assert hits == {"zebra": 0, "arbez": 1}


def tamper(path: str, column: str, value: object) -> None:
    with sqlite3.connect(path) as db:
        db.execute(f"UPDATE entities SET {column} = ? WHERE name = 'bad'", (value,))


def test_a_damaged_entity_hides_no_other_and_can_be_deleted(
    store: SQLiteStore, write: Run, read: Run, path: str
) -> None:
    write(create("good", "zebra"))
    write(create("bad", "zebra"))
    tamper(path, "checksum", "0" * 64)
    found = read(lambda tx: {e.name: e.damage for e in tx.entities.page(0, 9)})
    assert found["good"] is None
    assert found["bad"] is not None

    def change(tx: Transaction) -> None:
        entity = tx.entities.find("bad")
        assert entity is not None
        tx.entities.update(entity, UPDATED, observations=["x"])

    with pytest.raises(Corrupt):
        write(change)
    write(lambda tx: tx.entities.delete(tx.entities.find("bad"), Change("deleted")))
    assert read(lambda tx: [e.name for e in tx.entities.page(0, 9)]) == ["good"]


def test_times_of_writes_only_ever_rise_even_when_the_clock_stands_still(path: str) -> None:
    from datetime import UTC, datetime

    store = SQLiteStore(path, Analyser(), clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    stamps = [store.write(lambda tx: tx.now, "default", 5.0) for _ in range(5)]
    store.close()
    assert stamps == sorted(set(stamps))


def test_the_store_makes_a_dictionary_of_its_own_words_when_it_has_enough(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enhanced_memory.store.sqlite.store._TRAIN_FROM", 20)
    store = SQLiteStore(path, Analyser())
    facts = [
        f"The {colour} zeppelin of the quartermaster carries {n} barrels" for n, colour in enumerate("abcdefgh" * 4)
    ]
    first = [store.write(create(f"e{n}", fact), "default", 10.0) for n, fact in enumerate(facts)]
    pause = threading.Event()
    for _ in range(5_000):
        if (
            store.read(
                lambda tx: connection_of(tx).execute("SELECT count(*) FROM dictionaries").fetchone()[0],
                "default",
                5.0,
            )
            > 1
        ):
            break
        pause.wait(0.002)
    else:
        pytest.fail("no dictionary was made")
    assert store._trainer is not None
    store._trainer.join(PROMPTLY_S)
    later = store.write(create("later", facts[0] + " again"), "default", 10.0)
    assert later.stored_bytes < first[0].stored_bytes
    store.close()
    again = SQLiteStore(path, Analyser())
    assert again.read(
        lambda tx: [e.observations for e in tx.entities.find_many(["later"]).values()], "default", 5.0
    ) == [(facts[0] + " again",)]
    again.close()


def test_a_store_that_is_never_idle_makes_a_dictionary_as_well(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enhanced_memory.store.sqlite.store._TRAIN_FROM", 20)
    monkeypatch.setattr("enhanced_memory.store.sqlite.writer._HOUSEKEEPING_EVERY_S", 3_600.0)
    store = SQLiteStore(path, Analyser())
    written = 0
    for enough in (20, 60, 80):
        while written < enough:
            store.write(create(f"e{written}", f"The quartermaster carries {written} barrels"), "default", 10.0)
            written += 1
        store._open_writer().submit(lambda connection: store.tidy(connection, idle=False), 10.0, alone=True)
        assert store._trainer is not None
        store._trainer.join(PROMPTLY_S)
    store.close()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT trained_on FROM dictionaries").fetchall() == [(0,), (20,), (80,)]
    db.close()


def test_a_dictionary_that_holds_erased_text_goes_and_what_it_packed_stays_readable(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enhanced_memory.store.sqlite.store._TRAIN_FROM", 10**9)
    store = SQLiteStore(path, Analyser())
    phrase = "the quartermaster counts zeppelins"
    for number in range(12):
        store.write(create(f"e{number}", f"On day {number} {phrase} at dawn"), "default", 10.0)
    store._train(12)
    other = store.write(create("other", "On day 99 the quartermaster sleeps"), "default", 10.0)
    store.write(
        lambda tx: tx.entities.update(other, UPDATED, observations=["awake", *other.observations]), "default", 5.0
    )

    def erase(tx: Any) -> list[list[str]]:
        return [tx.entities.purge(tx.entities.find(f"e{n}")) for n in range(12)]

    texts = store.write(erase, "default", 10.0)
    assert phrase.encode() in dictionary_bytes(path)
    store.scrub(texts, 10.0)
    assert phrase.encode() not in dictionary_bytes(path)

    def look(tx: Any) -> list[Any]:
        entity = tx.entities.find("other")
        return [tx.versions.read(entity, number).observations for number in (1, 2)]

    for _ in range(2):
        past = store.read(look, "default", 5.0)
        assert past == [other.observations, ("awake", *other.observations)]
        store.close()
        store = SQLiteStore(path, Analyser())
    store.close()


def dictionary_bytes(path: str) -> bytes:
    """All dictionaries of a database, one after the other."""
    with sqlite3.connect(path) as db:
        return b"".join(row[0] for row in db.execute("SELECT data FROM dictionaries"))


def test_an_outline_is_the_same_object_until_something_of_it_changes(write: Run, read: Run) -> None:
    first, second = write(lambda tx: [create(name, f"{name} rides")(tx).id for name in ("Ann", "Bob")])

    def outlines(tx: Any) -> Any:
        return tx.entities.outlines([first, second])

    before = read(outlines)
    assert {number: each.observations for number, each in before.items()} == {
        first: ("Ann rides",),
        second: ("Bob rides",),
    }
    write(lambda tx: tx.entities.write_accesses({first: 3}))
    assert read(outlines)[first] is before[first]
    assert read(lambda tx: tx.entities.details([first]))[first].access_count == 3
    write(lambda tx: tx.entities.update(tx.entities.find("Ann"), UPDATED, observations=["Ann walks"]))
    after = read(outlines)
    assert (after[first].observations, after[second]) == (("Ann walks",), before[second])
    assert after[second] is before[second]
    write(lambda tx: tx.entities.delete(tx.entities.find("Ann"), Change("deleted")))
    assert read(outlines).keys() == {second}


def test_outlines_and_details_tell_what_the_whole_entity_tells(store: SQLiteStore, write: Run, read: Run) -> None:
    write(lambda tx: [create(f"e{number}", "one", "two")(tx) for number in range(5)])
    store.write(create("there", "elsewhere"), "other", 10.0)
    write(lambda tx: tx.entities.update(tx.entities.find("e1"), UPDATED, observations=["zero", "two", "three"]))
    write(
        lambda tx: tx.entities.update(
            tx.entities.find("e2"), UPDATED, attributes={"tier": "semantic", "last_confirmed": tx.now}
        )
    )
    write(lambda tx: tx.entities.write_accesses({3: 2}))
    numbers = list(range(1, 7))
    whole = read(lambda tx: tx.entities.by_ids(numbers))
    outlines, details = read(lambda tx: (tx.entities.outlines(numbers), tx.entities.details(numbers)))
    assert outlines.keys() == details.keys() == whole.keys() == set(numbers)
    for number, entity in whole.items():
        for told in (outlines[number], details[number]):
            names = getattr(told, "_fields", None) or set(told.__slots__) - {"reading"}
            assert {name: getattr(told, name) for name in names} == {name: getattr(entity, name) for name in names}


def test_of_rows_that_match_as_well_the_newest_are_found(write: Run, read: Run) -> None:
    write(lambda tx: [create(f"e{number}", "a heron", "an egret")(tx) for number in range(30)])
    best = read(lambda tx: tx.index.best(Match(any_of=[("heron",), ("egret",)]), Filter(), 7))
    assert [(hit.entity_id, hit.slot) for hit in best] == [
        (30, 2),
        (30, 1),
        (29, 2),
        (29, 1),
        (28, 2),
        (28, 1),
        (27, 2),
    ]
    filtered = read(lambda tx: tx.index.best(Match(any_of=[("heron",)]), Filter(tiers=["working"]), 3))
    assert [hit.entity_id for hit in filtered] == [30, 29, 28]


def test_words_that_are_counted_together_are_counted_each(write: Run, read: Run) -> None:
    write(lambda tx: [create(f"e{number}", "a heron", "Heron: an egret")(tx) for number in range(4)])
    counted = read(lambda tx: tx.index.frequencies(["egret", "nobody", "heron"]))
    assert {word: (often.rows, often.who) for word, often in counted.items()} == {
        "egret": (4, 0),
        "nobody": (0, 0),
        "heron": (4, 4),
    }
    assert list(counted) == ["egret", "nobody", "heron"]


def test_what_could_not_be_overwritten_is_by_the_next_process_without_a_word(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enhanced_memory.store.sqlite.store._TRAIN_FROM", 10**9)
    store = SQLiteStore(path, Analyser())
    phrase = "the quartermaster counts zeppelins"
    for number in range(12):
        store.write(create(f"e{number}", f"On day {number} {phrase} at dawn"), "default", 10.0)
    store._train(12)
    for number in range(12):
        store.write(partial(purge, name=f"e{number}"), "default", 10.0)
    store.close()  # as if it had been killed here: nobody said what is to be overwritten
    assert phrase.encode() in dictionary_bytes(path)
    with closing(SQLiteStore(path, Analyser())) as store:
        assert store.condition().erasure_is_late
        while store.condition().erasure_is_late:  # about a second
            pass
        assert phrase.encode() not in dictionary_bytes(path)
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM meta WHERE key = 'erasures_owed'").fetchone() == (0,)


@pytest.mark.parametrize("value", ["x", "", "-5", "0", "1.5", "9" * 12, "9" * 30, b"\xff"])
def test_a_number_of_owed_erasures_that_is_none_counts_as_some(path: str, value: object) -> None:
    with closing(SQLiteStore(path, Analyser())) as store:
        store.write(create("a", "a fact"), "default", 10.0)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("INSERT INTO meta (key, value) VALUES ('erasures_owed', ?)", (value,))
    with closing(SQLiteStore(path, Analyser())) as store:
        store.write(partial(purge, name="a"), "default", 10.0)
        store.scrub([["a fact"]], 10.0)
        assert not store.condition().erasure_is_late
    assert owed(path) == []


def owed(path: str) -> list[object]:
    """What the database notes as erased and not overwritten."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT value FROM meta WHERE key = 'erasures_owed'").fetchall()


def purge(tx: Any, name: str) -> list[str]:
    """Erase the entity of this name."""
    return list(tx.entities.purge(tx.entities.find(name)))
