"""Cron schedules in a time zone: whether one is valid, and when it is due next."""

import datetime as dt
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from shared.errors import Invalid


def next_time(cron: str, timezone: str, after: dt.datetime) -> dt.datetime:
    """The first time of `cron` later than `after`, in UTC.

    A local time that the change of clocks skips or repeats is handled as Debian's cron does (see cronsim). Raises Invalid,
    naming the field, for an expression or a zone that does not exist.
    """
    try:
        zone = ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):  # a name that is unknown, malformed, or a folder
        where = {"schedule.timezone": [f"no such time zone: {timezone!r}"]}
        raise Invalid("The schedule cannot be used.", where) from None
    try:
        moment = next(CronSim(cron, after.astimezone(zone)))
    except CronSimError as error:
        raise Invalid("The schedule cannot be used.", {"schedule.cron": [f"{error}: {cron!r}"]}) from None
    except StopIteration:
        raise Invalid("The schedule cannot be used.", {"schedule.cron": [f"never due: {cron!r}"]}) from None
    return moment.astimezone(dt.UTC)
