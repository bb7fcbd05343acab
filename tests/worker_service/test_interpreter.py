"""The interpreter of a worker, set up in a process of its own: the settings are the process's."""

import subprocess
import sys

PROGRAM = """
import gc, sys
from worker_service import interpreter
interpreter.settle()
print(gc.get_freeze_count() > 0, gc.isenabled(), sys.getswitchinterval() < 0.005)
"""


def test_what_stands_is_frozen_and_what_comes_is_still_collected():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["True"] * 3
