"""Places are handed on in the order in which they were asked for."""

from __future__ import annotations

import queue
import threading
import time

import pytest

from enhanced_memory.turns import Turns
from tests.conftest import PROMPTLY_S


def until_waiting(turns: Turns, count: int) -> None:
    """Return when so many wait."""
    until = time.monotonic() + PROMPTLY_S
    while turns.waiting != count:
        assert time.monotonic() < until


def test_a_place_is_taken_while_there_is_one_and_no_longer() -> None:
    turns = Turns(2)
    turns.enter(0)
    turns.enter(0)
    with pytest.raises(TimeoutError):
        turns.enter(0)
    turns.leave()
    turns.enter(0)


def test_whoever_leaves_and_asks_again_comes_after_those_who_waited() -> None:
    turns = Turns(1)
    order: list[int] = []
    threads: list[threading.Thread] = []
    turns.enter(0)

    def have_a_turn(number: int) -> None:
        turns.enter(PROMPTLY_S)
        order.append(number)
        turns.leave()

    for number in range(20):
        threads.append(threading.Thread(target=have_a_turn, args=(number,)))
        threads[-1].start()
        until_waiting(turns, number + 1)
    # Every turn is handed on before the one who left can have another, although it asks at once.
    turns.leave()
    have_a_turn(20)
    for thread in threads:
        thread.join(PROMPTLY_S)
    assert order == list(range(21))


def test_no_more_have_a_place_than_there_are() -> None:
    turns = Turns(3)
    inside: set[int] = set()
    counts: list[int] = []
    lock, start = threading.Lock(), threading.Barrier(20)

    def have_a_turn(number: int) -> None:
        start.wait(PROMPTLY_S)
        turns.enter(PROMPTLY_S)
        with lock:
            inside.add(number)
            counts.append(len(inside))
        with lock:
            inside.remove(number)
        turns.leave()

    threads = [threading.Thread(target=have_a_turn, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PROMPTLY_S)
    assert len(counts) == 20
    assert max(counts) <= 3
    assert turns.waiting == 0


def test_who_gave_up_waiting_takes_no_place() -> None:
    turns = Turns(1)
    turns.enter(0)
    with pytest.raises(TimeoutError):
        turns.enter(0.01)
    turns.leave()
    turns.enter(0)
    turns.leave()
    turns.enter(0)


def test_no_more_wait_than_may() -> None:
    turns = Turns(1, 1)
    turns.enter(0)
    waits = threading.Thread(target=turns.enter, args=(PROMPTLY_S,))
    waits.start()
    until_waiting(turns, 1)
    with pytest.raises(queue.Full):
        turns.enter(PROMPTLY_S)
    turns.leave()
    waits.join(PROMPTLY_S)
    assert turns.waiting == 0
