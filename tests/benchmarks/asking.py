"""Processes that ask for tasks, one after the other, all from the same moment on.

An asker asks for one task, says `ready`, waits for a line that says how many more, asks for them, and says how many CPU
seconds that took. It imports nothing of ours, so that Celery's environment can run it too.
"""

import sys
import time
from collections.abc import Callable


def ask_when_told(ask: Callable[[], object]) -> None:
    """The life of an asker."""
    ask()
    print("ready", flush=True)
    number = int(sys.stdin.readline())
    before = time.process_time()
    for _ in range(number):
        ask()
    print(time.process_time() - before, flush=True)
