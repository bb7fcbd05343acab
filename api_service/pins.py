"""What a question is about while somebody pages through it: the same from its first page to its last.

The mirror moves while a client pages; pages that were each cut from the mirror of their moment would lose a record that
slipped from a page still to come to one already read. So the first page notes the keys of all of them, and the others are
cut from the note. It is a convenience: after a restart, or from another process of the API, a page is cut from the mirror as
it is, and the client sees by `totalResults` that something moved, as with the NVD.
"""

import array
import datetime as dt
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

MOST = 16
"""Questions at a time; of the whole NVD one takes 3 MB."""
SECONDS = 600.0
"""How long after its last use one is remembered."""


@dataclass(frozen=True)
class Pin:
    """The answer to a question, all of it."""

    ids: "array.array[int]"
    """Keys of the vulnerabilities, in the order in which they are served."""
    timestamp: dt.datetime
    """Until when it is true."""


@dataclass
class Pins:
    """The latest questions with their answers. Threads may share one."""

    clock: Callable[[], float] = time.monotonic
    _kept: "OrderedDict[Hashable, tuple[float, Pin]]" = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, question: Hashable, pin: Pin) -> None:
        """Remember the answer to a question instead of an earlier one; the longest unused one makes room."""
        with self._lock:
            self._kept[question] = (self.clock(), pin)
            self._kept.move_to_end(question)
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)

    def find(self, question: Hashable) -> Pin | None:
        """The answer, if the question was asked lately."""
        with self._lock:
            at, pin = self._kept.get(question, (0.0, None))
            if pin is None or self.clock() - at > SECONDS:
                self._kept.pop(question, None)
                return None
            self._kept[question] = (self.clock(), pin)
            self._kept.move_to_end(question)
            return pin
