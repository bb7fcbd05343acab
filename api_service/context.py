"""What this process is made of, put together once by `create_app` and reached from a request."""

import threading
from dataclasses import dataclass, field

import redis
from flask import Flask, current_app

from api_service.attempts import Attempts
from api_service.metrics import Metrics
from api_service.pins import Pins
from shared.database import Sessions
from shared.settings import Settings

_NAME = "vedette"


@dataclass(frozen=True)
class Parts:
    """The settings, the database, the doorbell's Redis, and what limits this process."""

    settings: Settings
    sessions: Sessions
    redis: redis.Redis
    """To look at, never to rely on: it may be away."""
    long_lived: threading.Semaphore
    """Half of the threads: a request that stays long (an event stream, ?wait=) acquires one without blocking, or does not
    stay."""
    serving: threading.Semaphore
    """A quarter of the threads: an answer of the mirror as an upstream acquires one without blocking, or is put off."""
    metrics: Metrics
    """What /metrics tells."""
    serving_turn: threading.Lock = field(default_factory=threading.Lock)
    """Held while a piece of such an answer is made: unpacking must not fight everybody else for the interpreter."""
    attempts: Attempts = field(default_factory=Attempts)
    """Who tried to sign in lately."""
    pins: Pins = field(default_factory=Pins)
    """What the questions are about that are being paged through."""


def install(app: Flask, parts: Parts) -> None:
    """Make `parts` what requests to `app` find."""
    app.extensions[_NAME] = parts


def parts() -> Parts:
    """The parts of the app that serves this request."""
    found: Parts = current_app.extensions[_NAME]
    return found


def sessions() -> Sessions:
    """Sessions on the database; open them with `database.transaction` or `database.reading`."""
    return parts().sessions


def settings() -> Settings:
    """The settings of this process."""
    return parts().settings
