import inspect

import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Retries, TimeLimit

from shared.models.task import TaskState
from shared.tasks import CLEANUP_OLD_NOTIFICATIONS, CONTRACTS
from tests.builders import ask_for, read
from worker_service import actors


@pytest.fixture
def broker(frame):
    broker = StubBroker(middleware=[Retries(), TimeLimit()])
    actors.declare(broker, frame)
    return broker


def test_every_contract_entry_has_one_actor_on_its_queue(broker):
    ours = {name: contract.queue for name, contract in CONTRACTS.items() if not name.startswith("flow_")}
    assert {actor.actor_name: actor.queue_name for actor in broker.actors.values()} == ours


@pytest.mark.parametrize("door", actors.DOORS, ids=lambda door: door.contract)
def test_every_handler_takes_the_arguments_of_its_contract(door):
    _work, *arguments = inspect.signature(door.handler).parameters
    assert set(arguments) == CONTRACTS[door.contract].arguments


@pytest.mark.parametrize("door", actors.DOORS, ids=lambda door: door.contract)
def test_dramatiq_interrupts_only_what_did_not_stop_when_asked(door, broker):
    """An actor may be at work on any task of its queue."""
    assert broker.get_actor(door.contract).options["time_limit"] > door.time_limit * 1000


def test_actors_of_one_queue_allow_the_same_time(broker):
    limits = {(actor.queue_name, actor.options["time_limit"]) for actor in broker.actors.values()}
    assert len(limits) == len({queue for queue, _ in limits})


def test_an_actor_answers_its_doorbell_with_a_task_of_its_queue(broker, sessions):
    task = ask_for(sessions)
    broker.get_actor(CLEANUP_OLD_NOTIFICATIONS)(str(task.id))
    row = read(sessions, task.id)
    assert (row.state, row.result) == (TaskState.SUCCESS, {"removed": 0})
