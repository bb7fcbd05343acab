"""The worker's app with the doors of the tests beside its own."""

from tests.flow.doors import DOORS
from worker_service import actors
from worker_service.app import broker, frame

__all__ = ["broker"]

actors.declare(broker, frame, DOORS)
