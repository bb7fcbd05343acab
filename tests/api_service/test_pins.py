"""What is remembered of questions that are being paged through."""

import array
import datetime as dt

from api_service.pins import MOST, SECONDS, Pin, Pins

PIN = Pin(array.array("q", [1, 2, 3]), dt.datetime(2026, 1, 1, tzinfo=dt.UTC))


def test_a_pin_is_found_until_it_was_not_used_for_long():
    now = [0.0]
    pins = Pins(clock=lambda: now[0])
    pins.keep("question", PIN)
    for _ in range(3):
        now[0] += SECONDS
        assert pins.find("question") is PIN
    now[0] += SECONDS + 1
    assert pins.find("question") is None


def test_the_longest_unused_makes_room():
    pins = Pins()
    for number in range(MOST):
        pins.keep(number, PIN)
    pins.find(0)
    pins.keep("new", PIN)
    assert pins.find(0) is PIN
    assert pins.find(1) is None
    assert pins.find("new") is PIN
