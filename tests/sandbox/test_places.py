"""Places are handed on in the order in which they were asked for."""

from __future__ import annotations

import threading
import time

from enhanced_memory.sandbox.places import Places

WAIT_S = 5.0


def until_waiting(places: Places, count: int) -> None:
    """Return when so many wait."""
    until = time.monotonic() + WAIT_S
    while places.waiting != count:
        assert time.monotonic() < until


def test_whoever_leaves_and_asks_again_comes_after_those_who_waited() -> None:
    places = Places(1, 10)
    order: list[str] = []
    threads: list[threading.Thread] = []
    places.take()

    def have_a_turn(name: str) -> None:
        with places.one():
            order.append(name)

    for number, name in enumerate(("first", "second", "third"), start=1):
        threads.append(threading.Thread(target=have_a_turn, args=(name,)))
        threads[-1].start()
        until_waiting(places, number)
    # All three turns are handed on before the one who left can have another, although it asks at once.
    places.give()
    have_a_turn("the one who left")
    for thread in threads:
        thread.join(WAIT_S)
    assert order == ["first", "second", "third", "the one who left"]


def test_no_more_have_a_place_than_there_are() -> None:
    places = Places(3, 100)
    inside: set[int] = set()
    counts: list[int] = []
    lock, start = threading.Lock(), threading.Barrier(20)

    def have_a_turn(number: int) -> None:
        start.wait(WAIT_S)
        with places.one():
            with lock:
                inside.add(number)
                counts.append(len(inside))
            with lock:
                inside.remove(number)

    threads = [threading.Thread(target=have_a_turn, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert len(counts) == 20
    assert max(counts) <= 3
    assert places.waiting == 0
