"""How often somebody may try to sign in.

Kept in this process's memory, which is simple and honest about its reach: several API processes count apart, a restart
forgets. Counted is the attempt, before the password is looked at, so that attempts at the same time count too.
"""

import hashlib
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from shared.errors import TooManyAttempts

MAX_ATTEMPTS = 10
"""Attempts without success for one account from one address within the window."""
WINDOW_SECONDS = 300.0
MAX_KEYS = 10_000
"""Accounts and addresses remembered; the longest unseen are forgotten first."""


@dataclass(frozen=True)
class Attempt:
    """One attempt that was let through."""

    attempts: "Attempts"
    key: bytes

    def succeeded(self) -> None:
        """The password was right: forget the wrong ones before it."""
        self.attempts.forget(self.key)


class Attempts:
    """The attempts of the last minutes, by account and address."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._times: OrderedDict[bytes, list[float]] = OrderedDict()

    def begin(self, email: str, address: str) -> Attempt:
        """Count an attempt. Raises TooManyAttempts, and does not count it, when there were too many."""
        key = hashlib.sha256(f"{email.strip().lower()}\n{address}".encode()).digest()
        now = self._clock()
        with self._lock:
            times = [moment for moment in self._times.get(key, ()) if moment > now - WINDOW_SECONDS]
            if len(times) >= MAX_ATTEMPTS:
                wait = math.ceil(times[0] + WINDOW_SECONDS - now)
                raise TooManyAttempts("Too many attempts to sign in; wait a little.", max(1, wait))
            self._times[key] = [*times, now]
            self._times.move_to_end(key)
            while len(self._times) > MAX_KEYS:
                self._times.popitem(last=False)
        return Attempt(self, key)

    def forget(self, key: bytes) -> None:
        """Start counting anew."""
        with self._lock:
            self._times.pop(key, None)
