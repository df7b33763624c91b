"""Limits on bytes a second: how long is slept for what was moved."""

from __future__ import annotations

import pytest

from jobservice.engine.throttle import BURST_S, Throttle

RATE = 1000


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def throttle(time: Time) -> Throttle:
    return Throttle(RATE, clock=time)


def test_bytes_beyond_the_rate_are_slept_for(throttle: Throttle) -> None:
    assert throttle.take(2 * RATE) == pytest.approx(2.0)


def test_who_sleeps_as_told_keeps_the_rate(time: Time, throttle: Throttle) -> None:
    began = time.now
    for _ in range(100):
        time.now += throttle.take(300)

    assert 100 * 300 / (time.now - began) == pytest.approx(RATE)


def test_threads_share_one_rate(throttle: Throttle) -> None:
    """Two that move at the same moment are told to sleep one after the other."""
    assert [throttle.take(RATE), throttle.take(RATE)] == pytest.approx([1.0, 2.0])


def test_a_pause_is_made_up_for_by_a_short_burst_only(time: Time, throttle: Throttle) -> None:
    time.now += 3600

    assert throttle.take(int(BURST_S * RATE)) == 0
    assert throttle.take(RATE) == pytest.approx(1.0)


def test_a_changed_rate_holds_for_what_comes_next(throttle: Throttle) -> None:
    throttle.set_rate(RATE / 2)

    assert throttle.take(RATE) == pytest.approx(2.0)
