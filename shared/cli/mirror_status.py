"""The answer of `GET /nvd/status` as lines for people."""

import datetime as dt
from collections.abc import Callable
from typing import Any

NOTHING: tuple[Any, ...] = (None, [], {})


def rows(status: dict[str, Any]) -> list[tuple[str, str]]:
    """A name and a text for each part of the status."""
    return [(_label(name), shown(name, value)) for name, value in status.items()]


def shown(name: str, value: Any) -> str:
    """One part of the status."""
    if value in NOTHING:
        return "none"
    if name in _TEXTS:
        return _TEXTS[name](value)
    if name.endswith("_seconds"):
        return _span(value)
    if name.endswith(("_at", "_until", "_timestamp")):
        return f"{dt.datetime.fromisoformat(value).astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, dict):
        given = {key: each for key, each in value.items() if each not in NOTHING}
        return ", ".join(f"{_label(key)} {shown(key, each)}" for key, each in given.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _label(name: str) -> str:
    return name.removesuffix("_seconds").replace("_", " ")


def _span(seconds: float) -> str:
    """A time that passes, in the two units that matter."""
    minutes, hours, days = int(seconds) // 60, int(seconds) // 3600, int(seconds) // 86_400
    if hours >= 48:
        return f"{days} d {hours % 24} h"
    if minutes >= 60:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {int(seconds) % 60} s" if minutes else f"{int(seconds)} s"


def _years(years: list[dict[str, Any]]) -> str:
    """Our count of each year beside the upstream's; its oldest feed has the years before as well."""
    oldest = next((year for year in years if year["upstream"] is not None), None)
    return ", ".join(_year(year, others=year is oldest and year is not years[0]) for year in years)


def _year(year: dict[str, Any], *, others: bool) -> str:
    text = f"{year['year']}: {year['count']:,}"
    if year["upstream"] is None:
        return text
    if year["missing"]:
        return f"{text} of {year['upstream']:,} ({year['missing']:,} missing)"
    if year["count"] == year["upstream"]:
        return f"{text} of {year['upstream']:,}"
    before = ", the years before included" if others else ""
    return f"{text} ({year['upstream']:,} in the feed of {year['upstream_at'][:10]}{before})"


def _quarantine(records: list[dict[str, Any]]) -> str:
    return "\n".join(f"{each['cve_id'] or 'a record without id'}: {each['reason']}" for each in records)


def _counted(counts: dict[str, int]) -> str:
    """What happened, and how often if more than once."""
    return "; ".join(f"{text} ({count:,} times)" if count > 1 else text for text, count in counts.items())


_TEXTS: dict[str, Callable[[Any], str]] = {
    "reasons": "\n".join,
    "years": _years,
    "quarantine": _quarantine,
    "troubles": _counted,
}
