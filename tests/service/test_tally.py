"""Figures of requests: counted once each, whatever thread they come from, and quantiles near the truth."""

from __future__ import annotations

import threading

import pytest

from enhanced_memory.service.tally import BOUNDS_S, Tally
from tests.conftest import PATIENCE_S, PROMPTLY_S


def test_requests_are_counted_by_operation_and_by_how_they_ended() -> None:
    tally = Tally()
    for code in ("ok", "ok", "busy"):
        tally.note("search_nodes", code, 0.002)
    tally.note("ping", "ok", 0.0)
    told = tally.told()
    assert {method: (each["count"], each["errors"]) for method, each in told.items()} == {
        "ping": (1, 0),
        "search_nodes": (3, 1),
    }


@pytest.mark.parametrize("took_s", [0.000_03, 0.004, 0.25, 7.0, 1800.0])
def test_a_quantile_is_within_a_tenth_of_the_time_it_stands_for(took_s: float) -> None:
    tally = Tally()
    for _ in range(99):
        tally.note("ping", "ok", took_s)
    tally.note("ping", "ok", took_s * 100)
    figures = tally.told()["ping"]
    assert figures["p50_ms"] == pytest.approx(took_s * 1000, rel=0.1)
    assert figures["p99_ms"] == pytest.approx(took_s * 1000, rel=0.1)


@pytest.mark.parametrize("took_s", [-1.0, 0.0, 1e-9, 1e6])
def test_a_time_beyond_either_end_is_counted_all_the_same(took_s: float) -> None:
    tally = Tally()
    tally.note("ping", "ok", took_s)
    assert sum(tally.figures()["ping"].steps) == tally.told()["ping"]["count"] == 1


def test_a_time_lies_within_the_step_it_is_counted_in() -> None:
    for number, bound_s in enumerate(BOUNDS_S):
        tally = Tally()
        tally.note("ping", "ok", bound_s * 0.999)
        assert tally.figures()["ping"].steps[number] == 1


def test_many_threads_lose_no_request() -> None:
    tally = Tally()
    start = threading.Barrier(8)

    def count() -> None:
        start.wait(PROMPTLY_S)
        for _ in range(2_000):
            tally.note("ping", "ok", 0.001)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert tally.told()["ping"]["count"] == 16_000
