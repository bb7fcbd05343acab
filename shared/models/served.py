"""The feeds that this mirror serves on, packed and cut into pieces: built by a worker, read by the API.

They lie in the database because nothing else is shared by all processes, and so that a `.meta` and its file are of one
edition wherever they are asked for. All of it can be built again.
"""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class ServedFeed(Base):
    """The present edition of a feed."""

    __tablename__ = "served_feed"

    name: Mapped[str] = mapped_column(primary_key=True)
    """A year, `modified` or `recent`."""
    edition: Mapped[int]
    """Counted from 1."""
    snapshot: Mapped[int]
    """The mirror's, when it was built."""
    watermark: Mapped[dt.datetime]
    """The mirror's: every change that the NVD dates before this is in it."""
    total: Mapped[int]
    """Records."""
    size: Mapped[int] = mapped_column(sa.BigInteger())
    """Of the JSON, in bytes."""
    gz_size: Mapped[int] = mapped_column(sa.BigInteger())
    """Of the file, in bytes."""
    sha256: Mapped[str]
    """Of the JSON, in capitals as the NVD writes it."""
    pieces: Mapped[int]
    built_at: Mapped[dt.datetime]


class ServedPiece(Base):
    """A part of a feed's file. Those of the edition before stay for who is still reading them."""

    __tablename__ = "served_piece"

    name: Mapped[str] = mapped_column(primary_key=True)
    edition: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Counted from 0."""
    data: Mapped[bytes]
