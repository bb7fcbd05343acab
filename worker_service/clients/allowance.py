"""How often a party may be asked, shared by all workers through Redis: a rolling window, exact.

The NVD allows 5 requests in a rolling 30 seconds without a key and 50 with one
(https://nvd.nist.gov/developers/start-here). A bucket of 5 that refills would let 10 through in such a window, so the
moments of the last requests are kept instead. Redis' clock counts, since workers' clocks differ.
"""

import collections
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import redis
import structlog

log = structlog.get_logger(__name__)

_TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local window = tonumber(ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
local taken = redis.call('ZCARD', KEYS[1])
if taken < tonumber(ARGV[2]) then
  redis.call('ZADD', KEYS[1], now, ARGV[3] .. now)
  redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000))
  return 0
end
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return math.max(1, tonumber(oldest[2]) + window - now)
"""
"""Takes one request out of the window, or says in how many microseconds the next one leaves it."""


@dataclass(frozen=True)
class Limit:
    """So many requests in a rolling window."""

    requests: int
    seconds: float = 30.0
    slack: float = 2.0
    """Added to the window: a request that was slow on its way arrives nearer to the next one than it left."""


WITHOUT_KEY = Limit(5)
WITH_KEY = Limit(50)


@dataclass
class Allowance:
    """Waits until the next request may go out. Threads may share one.

    While Redis is away each process keeps to half the limit on its own: syncs follow one another, so two processes ask
    at once only around the moment at which one takes over from the other.
    """

    limit: Limit
    client: redis.Redis
    name: str
    """Whose allowance: one per party and key."""
    pause: Callable[[float], None]
    _taken: collections.deque[float] = field(default_factory=collections.deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self) -> None:
        """Take one request, waiting for it if need be."""
        while (seconds := self._take()) > 0:
            self.pause(seconds)

    def _take(self) -> float:
        """0 when a request was taken, else the seconds after which to try again."""
        window = self.limit.seconds + self.limit.slack
        with self._lock:
            try:
                arguments = (int(window * 1e6), self.limit.requests, f"{id(self)}:")
                micros = self.client.eval(_TAKE, 1, f"vedette:allowance:{self.name}", *arguments)
                assert isinstance(micros, int)  # noqa: S101  # redis types its two clients as one
                if micros == 0:
                    self._taken.append(time.monotonic())
                return micros / 1e6
            except redis.RedisError as error:
                log.warning("allowance_kept_locally", error=str(error))
                return self._take_locally(window)

    def _take_locally(self, window: float) -> float:
        now = time.monotonic()
        while self._taken and self._taken[0] <= now - window:
            self._taken.popleft()
        if len(self._taken) < max(1, self.limit.requests // 2):
            self._taken.append(now)
            return 0.0
        return self._taken[0] + window - now
