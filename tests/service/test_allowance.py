"""How much time checks may take."""

from __future__ import annotations

from enhanced_memory.service.allowance import Allowance


class Clock:
    """Seconds that only pass when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_checks_may_take_a_tenth_of_the_time_and_save_up_a_little() -> None:
    clock = Clock()
    allowance = Allowance(lambda: False, clock)
    assert allowance.is_left()
    allowance.spend(0.35)
    assert not allowance.is_left()
    clock.now += 0.4
    assert not allowance.is_left()
    clock.now += 0.2
    assert allowance.is_left()
    clock.now += 3_600
    allowance.is_left()
    allowance.spend(0.35)
    assert not allowance.is_left()


def test_there_is_no_time_for_a_check_while_several_writes_are_under_way() -> None:
    busy = [True]
    allowance = Allowance(lambda: busy[0], Clock())
    assert not allowance.is_left()
    busy[0] = False
    assert allowance.is_left()
