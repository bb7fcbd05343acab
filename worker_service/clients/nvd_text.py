"""How the NVD writes things, in its API and its feeds alike."""

import datetime as dt
from typing import Any


def moment(value: Any) -> dt.datetime | None:
    """A time stamp, None if it cannot be read. The NVD writes UTC without saying so."""
    try:
        moment = dt.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
