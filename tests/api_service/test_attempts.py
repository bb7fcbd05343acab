"""How often somebody may try to sign in."""

import pytest

from api_service import attempts
from api_service.attempts import MAX_ATTEMPTS, WINDOW_SECONDS, Attempts
from shared.errors import TooManyAttempts


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_the_window_moves_on():
    clock = Clock()
    kept = Attempts(clock)
    for _ in range(MAX_ATTEMPTS):
        kept.begin("ada@example.org", "192.0.2.1")
        clock.now += 1
    with pytest.raises(TooManyAttempts) as refused:
        kept.begin("ADA@example.org ", "192.0.2.1")
    assert refused.value.retry_after == WINDOW_SECONDS - MAX_ATTEMPTS
    clock.now += refused.value.retry_after
    kept.begin("ada@example.org", "192.0.2.1")


def test_accounts_and_addresses_count_apart():
    kept = Attempts()
    for _ in range(MAX_ATTEMPTS):
        kept.begin("ada@example.org", "192.0.2.1")
    kept.begin("ada@example.org", "192.0.2.2")
    kept.begin("bob@example.org", "192.0.2.1")


def test_memory_does_not_grow_with_the_names_tried(monkeypatch):
    monkeypatch.setattr(attempts, "MAX_KEYS", 10)
    kept = Attempts()
    for number in range(100):
        kept.begin(f"{number}@example.org", "192.0.2.1")
    assert len(kept._times) == 10
