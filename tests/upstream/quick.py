"""The clients with little patience, so that a test of a storm takes no storm's time."""

import dataclasses
import time
from typing import Any

from shared import doorbell
from worker_service.clients.allowance import Allowance, Limit
from worker_service.clients.http import Caller, Patience, Troubles
from worker_service.clients.nvd_api import NvdApi

PATIENCE = Patience(attempts=6, first=0.002, longest=0.01, connect=5.0, read=5.0)
HASTY = dataclasses.replace(PATIENCE, read=0.2)
"""Does not wait for a silent upstream."""
PLENTY = Limit(10_000, seconds=1.0, slack=0.0)
NOWHERE = doorbell.connect("redis://127.0.0.1:1/0", 0.1)
"""A Redis that is away."""


def caller(party: str = "the NVD API", patience: Patience = PATIENCE, **others: Any) -> Caller:
    return Caller(
        party, pause=others.pop("pause", time.sleep), troubles=Troubles(), patience=patience, **others
    )


def api(url: str, *, key: str | None = None, page_size: int = 50, **others: Any) -> NvdApi:
    asking = caller(**others)
    allowance = Allowance(PLENTY, NOWHERE, "test", asking.pause)
    return NvdApi(url, asking, allowance, key, page_size)
