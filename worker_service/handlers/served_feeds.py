"""Building the feeds that the mirror serves on: one after the other, each in memory that does not grow with it."""

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from shared import database, served_feeds, serving
from shared.models.served import ServedFeed, ServedPiece
from shared.serving import Standing

if TYPE_CHECKING:
    from worker_service.tasks import Effect, Work

PIECE = 1024 * 1024
"""Bytes of the file that are written in one transaction."""
_LEVEL = 6
"""Of gzip: a feed is packed once and sent often."""


def build(work: "Work", kind: str) -> "Effect":
    """Build those feeds of a kind that are due; each is there for everybody as soon as it is complete."""
    with work.reading() as session:
        names = served_feeds.names(session, kind)
    built = []
    for index, name in enumerate(names):
        work.progress("feeds: writing", index, len(names))
        with work.reading() as session:
            standing = serving.standing(session)
            due = served_feeds.look(session, name, standing).due
            before = session.get(ServedFeed, name)
            ids = served_feeds.contents(session, name, standing) if due else []
        if due:
            _build(work, name, before.edition + 1 if before else 1, ids, standing)
            built.append(name)
    return lambda _session: {"built": built}


def _build(work: "Work", name: str, edition: int, ids: list[int], standing: Standing) -> None:
    """Write an edition beside the present one, then let it be the present one.

    A record that changes meanwhile is taken as it is then, newer than the feed claims to be.
    """
    left = (ServedPiece.name == name, ServedPiece.edition >= edition)
    with work.transaction() as session:
        session.execute(sa.delete(ServedPiece).where(*left))  # of a build that was killed
    packer = _Packer()
    document = serving.document(work.sessions, ids, len(ids), 0, standing.watermark)
    pieces = 0
    for piece in packer.pack(document):
        work.raise_if_cancelled()
        with work.transaction() as session:
            session.add(ServedPiece(name=name, edition=edition, number=pieces, data=piece))
        pieces += 1
    with work.transaction() as session:
        feed = ServedFeed(
            name=name,
            edition=edition,
            snapshot=standing.snapshot,
            watermark=standing.watermark,
            total=len(ids),
            size=packer.size,
            gz_size=packer.gz_size,
            sha256=packer.digest.hexdigest().upper(),
            pieces=pieces,
            built_at=database.now(session),
        )
        session.merge(feed)
        old = (ServedPiece.name == name, ServedPiece.edition < edition - 1)
        session.execute(sa.delete(ServedPiece).where(*old))


@dataclass
class _Packer:
    """Packs, counts and digests. The same JSON gives the same bytes."""

    size: int = 0
    """Of the JSON so far."""
    gz_size: int = 0
    """Of the pieces so far."""

    def __post_init__(self) -> None:
        self.digest = hashlib.sha256()
        self._gzip = zlib.compressobj(_LEVEL, wbits=31)

    def pack(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        """The file in pieces of the same size, the last one smaller."""
        for packed in _cut(self._compress(parts), PIECE):
            self.gz_size += len(packed)
            yield packed

    def _compress(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        for part in parts:
            self.size += len(part)
            self.digest.update(part)
            yield self._gzip.compress(part)
        yield self._gzip.flush()


def _cut(parts: Iterable[bytes], size: int) -> Iterator[bytes]:
    waiting = bytearray()
    for part in parts:
        waiting += part
        while len(waiting) > size:
            yield bytes(waiting[:size])
            del waiting[:size]
    yield bytes(waiting)
