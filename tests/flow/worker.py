"""The worker process, on the app of the tests (`python -m tests.flow.worker`)."""

from shared.settings import Settings
from worker_service.__main__ import become

if __name__ == "__main__":
    become("tests.flow.app", Settings())
