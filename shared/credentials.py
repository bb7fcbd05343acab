"""Passwords and bearer tokens: how they are made, kept and checked.

A password is kept as an argon2id hash. A token is random, so a plain SHA-256 digest keeps it: fast to look up, and of no
use to who reads the database.
"""

import datetime as dt
import functools
import hashlib
import secrets
import threading
import uuid

import argon2
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared import database
from shared.errors import Conflict
from shared.models.user import Role, Token, User

TOKEN_PREFIX = "vdt_"  # noqa: S105  # what every token begins with, so that secret scanners know it
SHOWN = 10
"""How many characters of a token are kept readable, so that its owner can tell tokens apart."""
ADMIN_EMAIL = "admin@localhost"
"""The first admin's, when `VEDETTE_ADMIN_TOKEN` makes one."""
ADMIN_TOKEN_NAME = "VEDETTE_ADMIN_TOKEN"  # noqa: S105  # a token's name, not a token

PASSWORD_LENGTH = (12, 200)
"""The least and the most characters of a password."""

_hasher = argon2.PasswordHasher()
_slots = threading.BoundedSemaphore(2)
"""Each hash takes 64 MB and a processor: many who sign in at once must not take them all."""


def hash_password(password: str) -> str:
    """The argon2id hash to keep."""
    with _slots:
        return _hasher.hash(password)


def verify_password(password_hash: str | None, password: str) -> bool:
    """Whether the password is right. Without a hash it works as long and says no."""
    try:
        with _slots:
            _hasher.verify(password_hash or _nobody(), password)
    except argon2.exceptions.VerificationError:
        return False
    return password_hash is not None


@functools.cache
def _nobody() -> str:
    return _hasher.hash(secrets.token_urlsafe())


def new_token() -> str:
    """A new token, to be shown once."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def normalise_email(email: str) -> str:
    """The form in which addresses are kept and compared."""
    return email.strip().lower()


def create_user(session: Session, *, email: str, name: str, role: Role, password: str | None = None) -> User:
    """Add a user. Raises Conflict when the address is taken."""
    user = User(
        id=uuid.uuid4(),
        email=normalise_email(email),
        name=name,
        role=role,
        password_hash=hash_password(password) if password else None,
        active=True,
        created_at=database.now(session),
    )
    try:
        with session.begin_nested():
            session.add(user)
    except IntegrityError:
        raise Conflict(f"There is a user with the address {user.email} already.") from None
    return user


def issue_token(
    session: Session, user: User, name: str, expires_at: dt.datetime | None = None
) -> tuple[Token, str]:
    """Give a user a new token; the row, and the token itself, which nobody can read again."""
    text = new_token()
    token = _token_row(session, user, name, text)
    token.expires_at = expires_at
    session.add(token)
    session.flush()
    return token, text


def ensure_admin(session: Session, text: str) -> Token:
    """Make `text` (`VEDETTE_ADMIN_TOKEN`) the token of the first admin, whom it creates when missing.

    Safe to repeat, and to run in two processes at once. A token of an earlier value is revoked; one that somebody revoked,
    and a user whom somebody deactivated, stay so.
    """
    known = sa.select(Token).where(Token.digest == digest(text))
    if (token := session.scalar(known)) is not None:
        return token
    user = _first_admin(session)
    token = _token_row(session, user, ADMIN_TOKEN_NAME, text)
    try:
        with session.begin_nested():
            session.add(token)
    except IntegrityError:  # another process was faster
        return session.scalars(known).one()
    session.execute(
        sa.update(Token)
        .where(Token.user_id == user.id, Token.name == ADMIN_TOKEN_NAME, Token.id != token.id)
        .where(Token.revoked_at.is_(None))
        .values(revoked_at=token.created_at)
    )
    return token


def _first_admin(session: Session) -> User:
    found = sa.select(User).where(User.email == ADMIN_EMAIL)
    if (user := session.scalar(found)) is not None:
        return user
    try:
        return create_user(session, email=ADMIN_EMAIL, name="First admin", role=Role.ADMIN)
    except Conflict:  # another process was faster
        return session.scalars(found).one()


def _token_row(session: Session, user: User, name: str, text: str) -> Token:
    return Token(
        id=uuid.uuid4(),
        user_id=user.id,
        name=name,
        prefix=text[:SHOWN],
        digest=digest(text),
        created_at=database.now(session),
    )
