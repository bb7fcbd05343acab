"""Answers kept for `Idempotency-Key`, so that a repeated POST does nothing twice."""

import datetime as dt
import uuid

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base, Document


class IdempotentAnswer(Base):
    """What a POST with this key answered its caller; kept for a day."""

    __tablename__ = "idempotent_answer"

    user_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("user.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(200), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(sa.String(64))
    """SHA-256 of method, path and body: the same key with another request is a mistake (422)."""
    status: Mapped[int]
    location: Mapped[str | None] = mapped_column(sa.String(400))
    body: Mapped[Document]
    created_at: Mapped[dt.datetime] = mapped_column(index=True)
