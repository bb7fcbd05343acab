"""The mirror as feeds (https://nvd.nist.gov/vuln/data-feeds): which there are, what is in them, when to build them anew.

They are built only if somebody asks. What is a little behind the mirror is served while it is being built anew (it says in
its `.meta` how far it goes); what is far behind is not.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared import database, serving
from shared.database import Sessions
from shared.errors import VedetteError
from shared.models.mirror import Vulnerability
from shared.models.served import ServedFeed, ServedPiece
from shared.models.task import Task
from shared.serving import Standing
from shared.tasks import BUILD_NVD_FEEDS, Asking, ask

YEARS = "years"
LATELY = "lately"
KINDS = {
    YEARS: dt.timedelta(hours=12),
    LATELY: dt.timedelta(minutes=10),
}
"""What is built together, and not more often than this: the NVD writes its years once a day."""
MODIFIED, RECENT = "modified", "recent"
FIRST_YEAR = 2002
"""Its feed has the years before as well."""
REACH = dt.timedelta(days=8)
"""What `modified` and `recent` go back."""
BEHIND = dt.timedelta(days=1)
"""A feed whose watermark is so much older than the mirror's is not served any more."""


@dataclass(frozen=True)
class Look:
    """How a feed stands beside the mirror."""

    feed: ServedFeed | None
    """The present edition; None when there is none, or none that may still be served."""
    due: bool
    """It has to be built."""


def kind_of(name: str) -> str:
    """What the feed is built together with."""
    return LATELY if name in (MODIFIED, RECENT) else YEARS


def names(session: Session, kind: str) -> list[str]:
    """The feeds of a kind: a mirror has every year from the first to this one, and those beyond that it holds records of."""
    if kind == LATELY:
        return [MODIFIED, RECENT]
    newest = session.scalar(sa.select(sa.func.max(Vulnerability.id))) or 0
    last = max(database.now(session).year, newest >> 32)
    return [str(year) for year in range(FIRST_YEAR, last + 1)]


def look(session: Session, name: str, standing: Standing) -> Look:
    """Look at a feed."""
    feed = session.get(ServedFeed, name)
    if feed is None or standing.watermark - feed.watermark > BEHIND:
        return Look(None, due=True)
    moved = (feed.watermark, feed.snapshot) != (standing.watermark, standing.snapshot)
    old = database.now(session) - feed.built_at >= KINDS[kind_of(name)]
    return Look(feed, due=moved and old)


def is_asked_for(session: Session, kind: str) -> bool:
    """Whether somebody has asked for the feeds of a kind, and they are not there yet."""
    open_one = sa.select(Task.id).where(Task.dedupe_key == _key(kind), Task.ended_at.is_(None))
    return session.scalar(open_one.limit(1)) is not None


def ask_for(session: Session, kind: str) -> None:
    """Ask for those feeds of a kind to be built that are due; once, however many ask."""
    ask(session, BUILD_NVD_FEEDS, Asking(dedupe_key=_key(kind)), kind=kind)


def _key(kind: str) -> str:
    return f"{BUILD_NVD_FEEDS}:{kind}"


def contents(session: Session, name: str, standing: Standing) -> list[int]:
    """Keys of the records in a feed, in the order of their ids."""
    if name == RECENT:
        since = standing.watermark - REACH
        return sorted(session.scalars(sa.select(Vulnerability.id).where(Vulnerability.published >= since)))
    if name == MODIFIED:
        return sorted(_modified(session, standing))
    year = int(name)
    start = 0 if year == FIRST_YEAR else year << 32
    end = (year + 1) << 32
    found = set(session.scalars(sa.select(Vulnerability.id).where(Vulnerability.id.between(start, end - 1))))
    return sorted(found | {key for key in serving.quarantined(session) if start <= key < end})


def _modified(session: Session, standing: Standing) -> set[int]:
    """What the NVD dates into the last days, and what reached the mirror in them."""
    since, until = standing.watermark - REACH, standing.watermark
    found = set(session.scalars(sa.select(Vulnerability.id).where(Vulnerability.last_modified >= since)))
    found.update(session.scalars(serving.arrivals(standing, since, until)))
    return found | serving.quarantined_between(session, standing, since, until)


def meta(feed: ServedFeed) -> str:
    """The `.meta` of a feed. There is no zip file."""
    lines = {
        "lastModifiedDate": feed.watermark.replace(microsecond=0).isoformat(),
        "size": feed.size,
        "zipSize": 0,
        "gzSize": feed.gz_size,
        "sha256": feed.sha256,
    }
    return "".join(f"{name}:{value}\r\n" for name, value in lines.items())


def file(sessions: Sessions, feed: ServedFeed) -> Iterator[bytes]:
    """The gzip file of an edition, piece by piece; between two of them no connection is held.

    Raises VedetteError in the middle of it when two editions were built meanwhile.
    """
    for number in range(feed.pieces):
        with database.reading(sessions) as session:
            piece = session.get(ServedPiece, (feed.name, feed.edition, number))
        if piece is None:
            raise VedetteError(f"edition {feed.edition} of the feed {feed.name} is gone")
        yield piece.data
