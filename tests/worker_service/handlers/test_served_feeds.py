"""Building the feeds that are served on: pieces, and a build that was killed."""

import gzip

import pytest
import sqlalchemy as sa

from shared import database, served_feeds
from shared.models.served import ServedFeed, ServedPiece
from tests.upstream.mirror import Mirror, pointed_at
from worker_service.handlers import served_feeds as handler


@pytest.fixture
def mirror(sessions, settings, upstream):
    mirror = Mirror(sessions, pointed_at(settings, upstream).with_changes(nvd_feed_url="off"), upstream)
    mirror.sync()
    return mirror


def test_a_feed_is_cut_into_pieces(mirror, work, commit, monkeypatch):
    monkeypatch.setattr(handler, "PIECE", 1000)
    result = commit(handler.build(work, served_feeds.YEARS))
    assert str(mirror.upstream.clock.year) in result["built"]
    with database.reading(mirror.sessions) as session:
        feeds = session.scalars(sa.select(ServedFeed)).all()
        sizes = session.scalars(sa.select(sa.func.length(ServedPiece.data))).all()
    assert max(feed.pieces for feed in feeds) > 1
    assert max(sizes) == 1000
    for feed in feeds:
        packed = b"".join(served_feeds.file(mirror.sessions, feed))
        assert (len(packed), len(gzip.decompress(packed))) == (feed.gz_size, feed.size)
    assert sum(feed.total for feed in feeds) == len(mirror.upstream.records)


def test_what_a_killed_build_left_is_in_nobodys_way(mirror, work, commit):
    with database.transaction(mirror.sessions) as session:
        for number in range(3):
            session.add(ServedPiece(name="2002", edition=1, number=number, data=b"half"))
    commit(handler.build(work, served_feeds.YEARS))
    with database.reading(mirror.sessions) as session:
        feed = session.get_one(ServedFeed, "2002")
        left = session.scalars(sa.select(ServedPiece.number).where(ServedPiece.name == "2002")).all()
    assert (left, feed.pieces) == ([0], 1)
    gzip.decompress(b"".join(served_feeds.file(mirror.sessions, feed)))


def test_a_sync_has_those_feeds_built_that_somebody_reads(mirror, work, commit):
    def asked():
        with database.reading(mirror.sessions) as session:
            return served_feeds.is_asked_for(session, served_feeds.LATELY)

    mirror.sync()
    assert not asked()
    commit(handler.build(work, served_feeds.LATELY))
    mirror.sync()
    assert asked()
