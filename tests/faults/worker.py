"""The worker process, on the app with the faults (`python -m tests.faults.worker`)."""

from shared.settings import Settings
from worker_service.__main__ import become

if __name__ == "__main__":
    become("tests.faults.app", Settings())
