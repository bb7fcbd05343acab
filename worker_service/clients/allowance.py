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
local window, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = redis.call('SET', KEYS[2], '', 'GET', 'PX', ARGV[5])
if not kept and ARGV[4] == '0' then
  for number = 1, limit do redis.call('ZADD', KEYS[1], now, 'unknown:' .. number) end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
local taken = redis.call('ZCARD', KEYS[1])
redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000))
if taken < limit then
  redis.call('ZADD', KEYS[1], now, ARGV[3] .. now)
  redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000))
  return 0
end
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return math.max(1, tonumber(oldest[2]) + window - now)
"""
"""Takes one request out of the window, or says in how many microseconds the next one leaves it.

The second key says that this Redis remembers. Without it everything was forgotten, and unless the asker knows better, all
that is allowed may just have been used.
"""
MEMORY_MILLISECONDS = 24 * 3600 * 1000


@dataclass(frozen=True)
class Limit:
    """So many requests in a rolling window."""

    requests: int
    seconds: float = 30.0
    slack: float = 2.0
    """Added to the window: a request that was slow on its way arrives nearer to the next one than it left."""

    @property
    def window(self) -> float:
        """Seconds that count, the slack included."""
        return self.seconds + self.slack


WITHOUT_KEY = Limit(5)
WITH_KEY = Limit(50)


@dataclass
class Allowance:
    """Waits until the next request may go out. Threads may share one.

    What this process took counts whatever Redis says, so that a wiped Redis allows nothing twice. While Redis is away each
    process keeps to half the limit on its own: syncs follow one another, so two processes ask at once only around the moment
    at which one takes over from the other.
    """

    limit: Limit
    client: redis.Redis
    name: str
    """Whose allowance: one per party and key."""
    pause: Callable[[float], None]
    alone: bool = False
    """It is known that nobody else asked within the last window, nor asks beside this: an empty Redis is then no riddle."""
    _taken: collections.deque[float] = field(default_factory=collections.deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self) -> None:
        """Take one request, waiting for it if need be."""
        while (seconds := self._take()) > 0:
            self.pause(seconds)

    def _take(self) -> float:
        """0 when a request was taken, else the seconds after which to try again."""
        with self._lock:
            if (seconds := self._wait_for_own(self.limit.requests)) > 0:
                return seconds
            try:
                seconds = self._take_from_redis()
            except redis.RedisError as error:
                log.warning("allowance_kept_locally", error=str(error))
                seconds = self._wait_for_own(max(1, self.limit.requests // 2))
            if seconds == 0:
                self._taken.append(time.monotonic())
            return seconds

    def _take_from_redis(self) -> float:
        key = f"vedette:allowance:{self.name}"
        arguments = (
            int(self.limit.window * 1e6),
            self.limit.requests,
            f"{id(self)}:",
            int(self.alone),
            MEMORY_MILLISECONDS,
        )
        micros = self.client.eval(_TAKE, 2, key, f"{key}:kept", *arguments)
        assert isinstance(micros, int)  # noqa: S101  # redis types its two clients as one
        return micros / 1e6

    def _wait_for_own(self, most: int) -> float:
        """Seconds until fewer than `most` of the requests that went out from here are in the window."""
        now = time.monotonic()
        while self._taken and self._taken[0] <= now - self.limit.window:
            self._taken.popleft()
        return self._taken[-most] + self.limit.window - now if len(self._taken) >= most else 0.0
