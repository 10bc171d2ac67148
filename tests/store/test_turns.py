"""Places taken in the order of asking."""

from __future__ import annotations

import threading

from enhanced_memory.store.sqlite.turns import Turns

BOUND_S = 5.0


def test_a_place_is_taken_while_there_is_one_and_no_longer() -> None:
    turns = Turns(2)
    assert turns.enter(0)
    assert turns.enter(0)
    assert not turns.enter(0)
    turns.leave()
    assert turns.enter(0)


def test_whoever_asked_first_gets_the_next_place_and_nobody_overtakes() -> None:
    turns = Turns(1)
    assert turns.enter(0)
    order: list[int] = []
    threads = []

    def wait(number: int) -> None:
        assert turns.enter(BOUND_S)
        order.append(number)

    for number in range(20):
        thread = threading.Thread(target=wait, args=(number,))
        thread.start()
        while len(turns._waiting) != number + 1:
            thread.join(0.001)
        threads.append(thread)
    for thread in threads:
        turns.leave()
        thread.join(BOUND_S)
        assert not turns.enter(0)
    assert order == list(range(20))


def test_who_gave_up_waiting_takes_no_place() -> None:
    turns = Turns(1)
    assert turns.enter(0)
    assert not turns.enter(0.01)
    turns.leave()
    assert turns.enter(0)
    turns.leave()
    assert turns.enter(0)
