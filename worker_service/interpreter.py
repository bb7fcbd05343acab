"""Settings of the interpreter for a process that works through much data in several threads."""

import gc
import sys

SWITCH_SECONDS = 0.0005
"""How long a thread that computes may keep one waiting that is back from the database. With Python's 5 ms, the
importer's writer would wait as long as it writes: some sixty statements make up a batch."""

YOUNG_OBJECTS = 20_000
"""New objects until the garbage collector looks at them: a page of records is that many, and none of them in a cycle."""


def settle() -> None:
    """Called when everything is loaded: what is there by now stays, and need not be looked through again and again."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)
    gc.freeze()
