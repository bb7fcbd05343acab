"""What a user wants to hear through a channel, and when: pure, the same for what is sent and for what a preview tells.

* A notification below the channel's priority, or of none of its types, is not for it.
* Quiet hours hold a message back until they end, unless it is critical or tells of a known-exploited vulnerability.
* A digest collects: hourly until the next full hour, daily until the next 08:00 of the quiet hours' time zone (UTC without
  any). A digest that falls into quiet hours waits for their end like any other message.
"""

import datetime as dt
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from shared.errors import Invalid
from shared.models.base import Document
from shared.models.channel import Channel, Digest
from shared.models.notification import IN_APP_ONLY, Notification, Priority

DAILY_AT = dt.time(8)
"""When a daily digest goes out."""


@dataclass(frozen=True)
class QuietHours:
    """Wall-clock times in a time zone, over midnight when `start` is the later one."""

    start: dt.time
    end: dt.time
    zone: ZoneInfo

    def hold(self, moment: dt.datetime) -> bool:
        """Whether `moment` lies in them: at the start it does, at the end no more."""
        clock = moment.astimezone(self.zone).time()
        if self.start < self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end

    def end_after(self, moment: dt.datetime) -> dt.datetime:
        """When those that hold `moment` end, in UTC."""
        return _next_time(self.end, self.zone, moment)


@dataclass(frozen=True)
class Rules:
    """A channel's preferences."""

    min_priority: Priority
    types: frozenset[str] | None
    quiet: QuietHours | None
    digest: Digest


@dataclass(frozen=True)
class Decision:
    """What becomes of a notification in a channel."""

    due_at: dt.datetime
    digest: bool
    """Whether it goes out with whatever else is due at that moment."""
    held: bool
    """Whether quiet hours put it off."""


@dataclass(frozen=True)
class Silence:
    """Why a notification is not for a channel."""

    reason: str
    """`min_priority`, `types`, or `in_app_only`: it is for no channel."""


def rules_of(channel: Channel) -> Rules:
    """The rules that a channel's row holds; no quiet hours when this installation no longer knows their time zone."""
    try:
        return make_rules(channel.min_priority, channel.types, channel.quiet_hours, channel.digest)
    except Invalid:
        return make_rules(channel.min_priority, channel.types, None, channel.digest)


def make_rules(
    min_priority: Priority, types: Collection[str] | None, quiet_hours: Document | None, digest: Digest
) -> Rules:
    """Rules from a channel's values. Raises Invalid, naming the field, for quiet hours that cannot be used."""
    quiet = None if quiet_hours is None else _quiet_hours(quiet_hours)
    return Rules(min_priority, None if types is None else frozenset(types), quiet, digest)


def decide(rules: Rules, notification: Notification, now: dt.datetime) -> Decision | Silence:
    """What becomes of a notification that is made now."""
    if notification.type in IN_APP_ONLY:
        return Silence("in_app_only")
    if notification.priority.rank < rules.min_priority.rank:
        return Silence("min_priority")
    if rules.types is not None and rules.types.isdisjoint(notification.events):
        return Silence("types")
    zone = rules.quiet.zone if rules.quiet else ZoneInfo("UTC")
    match rules.digest:
        case Digest.HOURLY:
            due = now.replace(minute=0, second=0, microsecond=0) + dt.timedelta(hours=1)
        case Digest.DAILY:
            due = _next_time(DAILY_AT, zone, now)
        case Digest.IMMEDIATE:
            due = now
    held = rules.quiet is not None and rules.quiet.hold(due) and not breaks_through(notification)
    if held and rules.quiet is not None:
        due = rules.quiet.end_after(due)
    return Decision(due, rules.digest != Digest.IMMEDIATE, held)


def breaks_through(notification: Notification) -> bool:
    """Whether quiet hours do not hold it: it is critical, or tells of something known to be exploited."""
    return notification.priority == Priority.CRITICAL or bool(
        (notification.data or {}).get("known_exploited")
    )


def _quiet_hours(value: Document) -> QuietHours:
    try:
        zone = ZoneInfo(value["timezone"])
    except (KeyError, ValueError, OSError):  # a name that is unknown, malformed, or a folder
        where = {"quiet_hours.timezone": [f"no such time zone: {value.get('timezone')!r}"]}
        raise Invalid("The quiet hours cannot be used.", where) from None
    times = {}
    for name in ("from", "to"):
        try:
            times[name] = dt.time.fromisoformat(value[name])
        except (KeyError, ValueError):
            where = {f"quiet_hours.{name}": ["must be a time of day such as 22:00"]}
            raise Invalid("The quiet hours cannot be used.", where) from None
    if times["from"] == times["to"]:
        raise Invalid(
            "The quiet hours cannot be used.", {"quiet_hours.to": ["must differ from the time they begin at"]}
        )
    return QuietHours(times["from"], times["to"], zone)


def _next_time(clock: dt.time, zone: ZoneInfo, after: dt.datetime) -> dt.datetime:
    """The first moment later than `after` at which a clock in `zone` shows `clock`, in UTC.

    A time that the change of clocks skips is taken at the moment of the change; of one that comes twice, the first that
    is later than `after`.
    """
    return min(moment for moment in _showings(clock, zone, after) if moment > after)


def _showings(clock: dt.time, zone: ZoneInfo, around: dt.datetime) -> Iterator[dt.datetime]:
    today = around.astimezone(zone).date()
    for days in range(-1, 3):
        for fold in (0, 1):
            local = dt.datetime.combine(today + dt.timedelta(days), clock, zone).replace(fold=fold)
            moment = local.astimezone(dt.UTC)
            if moment.astimezone(zone).time() == clock:
                yield moment
            elif (
                fold == 1
            ):  # skipped: with fold 1 the time is read by the offset after the change, so before it
                yield _change_after(moment, zone)


def _change_after(moment: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """The change of the offset of `zone` that follows `moment` within a day, to the second."""
    low, high = 0, 24 * 3600
    offset = moment.astimezone(zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if (moment + dt.timedelta(seconds=middle)).astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return moment + dt.timedelta(seconds=high)
