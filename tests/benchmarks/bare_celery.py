"""A Celery task that survives its worker: acknowledged late, its result kept. `python -m` of this asks (see `asking`).

Runs in an environment of its own (the dependency group `bench`): Celery is no part of Vedette.
"""

import os

from celery import Celery

from tests.benchmarks.asking import ask_when_told

app = Celery("bench", broker=os.environ["REDIS_URL"], backend=os.environ["RESULTS_URL"])
app.conf.update(task_acks_late=True, broker_connection_retry_on_startup=True)


@app.task(name="noop")
def noop() -> None:
    """Nothing."""


if __name__ == "__main__":
    ask_when_told(noop.delay)
