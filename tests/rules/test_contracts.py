"""Whatever can be asked for has somebody who does it."""

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.lifecycle.timetable import Job
from shared.tasks import CONTRACTS, QUEUES, Contract
from worker_service.actors import DOORS, Door
from worker_service.schedule import TIMETABLE

COMPOSE = Path(__file__).parents[2] / "docker" / "compose.yaml"


def declared() -> list[str]:
    """The contract's entries as every process begins with them; tests of this one may have added theirs."""
    program = "from shared.tasks import CONTRACTS; print(*CONTRACTS)"
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()


def test_every_contract_entry_has_an_actor_and_every_actor_an_entry() -> None:
    assert sorted(door.contract for door in DOORS) == sorted(declared())


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.contract)
def test_a_handler_takes_what_its_contract_names(door: Door) -> None:
    work, *arguments = inspect.signature(door.handler).parameters
    assert work == "work"
    assert set(arguments) == CONTRACTS[door.contract].arguments


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=lambda contract: contract.name)
def test_an_entry_is_on_a_queue_that_exists(contract: Contract) -> None:
    assert contract.queue in QUEUES


@pytest.mark.parametrize("job", TIMETABLE, ids=lambda job: job.contract)
def test_a_periodic_job_asks_for_a_contract_entry_as_it_wants_to_be_asked(job: Job) -> None:
    assert set(job.arguments) == CONTRACTS[job.contract].arguments


def test_at_most_one_periodic_job_asks_for_a_contract_entry() -> None:
    assert len({job.contract for job in TIMETABLE}) == len(TIMETABLE)


def test_every_queue_has_a_worker_in_the_compose_file() -> None:
    services: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    workers = [
        service.get("command", ["vedette", "worker"])
        for service in services.values()
        if service.get("image") == "vedette-worker"
    ]
    served: set[str] = set()
    for program, service, *queues in workers:
        if (program, service) == ("vedette", "worker"):
            served |= set(queues or QUEUES)  # a worker that is told no queue answers them all
    assert served == set(QUEUES)
