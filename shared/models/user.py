"""Users, their roles and their bearer tokens."""

import datetime as dt
import enum
import uuid

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shared.models.base import Base, enum_column


class Role(enum.StrEnum):
    """What a user may do; each role may do what the ones before it may."""

    VIEWER = "viewer"
    """Reads everything that is not somebody else's own."""
    ANALYST = "analyst"
    """Also writes assets and scans, starts and cancels work, triages findings."""
    ADMIN = "admin"
    """Also manages users, the mirror and dead letters."""

    def includes(self, other: "Role") -> bool:
        """Whether this role may do what `other` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


class User(Base):
    """Somebody who signs in. Deactivated, not deleted, while history names them."""

    __tablename__ = "user"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    email: Mapped[str] = mapped_column(sa.String(254), unique=True)
    """Lower case."""
    name: Mapped[str] = mapped_column(sa.String(200))
    role: Mapped[Role] = mapped_column(enum_column(Role))
    password_hash: Mapped[str | None] = mapped_column(sa.String(200))
    """argon2id; None for a user who only has tokens."""
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[dt.datetime]
    tokens: Mapped[list["Token"]] = relationship(back_populates="user", passive_deletes=True)


class Token(Base):
    """A bearer token, opaque and stored as a SHA-256 digest: it can be checked and revoked, never read back."""

    __tablename__ = "token"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    user_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("user.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(sa.String(100))
    prefix: Mapped[str] = mapped_column(sa.String(16))
    """The first characters, so that its owner can tell tokens apart."""
    digest: Mapped[str] = mapped_column(sa.String(64), unique=True)
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime | None]
    last_used_at: Mapped[dt.datetime | None]
    revoked_at: Mapped[dt.datetime | None]
    user: Mapped[User] = relationship(back_populates="tokens")
