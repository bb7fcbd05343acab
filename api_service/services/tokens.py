"""Signing in, personal tokens, and who a token stands for."""

import datetime as dt
import uuid
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from api_service.paging import Page, PageRequest, fetch
from shared import credentials, database
from shared.errors import NotFound, Unauthorized
from shared.models.user import Role, Token, User

LOGIN_NAME = "login"
"""The name of tokens that signing in gives."""
USE_NOTED_EVERY = dt.timedelta(minutes=1)


@dataclass(frozen=True)
class Principal:
    """Who asks, and with which token."""

    user_id: uuid.UUID
    token_id: uuid.UUID
    email: str
    role: Role


def authenticate(session: Session, text: str) -> tuple[Principal, bool]:
    """Whose token this is, and whether its use is due to be noted (`note_use`).

    Raises Unauthorized, without saying why, unless it is a living token of an active user.
    """
    row = session.execute(
        sa.select(Token, User)
        .join(User, Token.user_id == User.id)
        .where(Token.digest == credentials.digest(text))
    ).one_or_none()
    now = database.now(session)
    if row is None or not row.User.active or not _lives(row.Token, now):
        raise Unauthorized("The token is wrong, expired or revoked.")
    who = Principal(row.User.id, row.Token.id, row.User.email, row.User.role)
    last = row.Token.last_used_at
    return who, last is None or last <= now - USE_NOTED_EVERY


def _lives(token: Token, now: dt.datetime) -> bool:
    return token.revoked_at is None and (token.expires_at is None or token.expires_at > now)


def note_use(session: Session, token_id: uuid.UUID) -> None:
    """Note that a token was used just now, unless another request did within the minute."""
    now = database.now(session)
    session.execute(
        sa.update(Token)
        .where(Token.id == token_id)
        .where(sa.or_(Token.last_used_at.is_(None), Token.last_used_at <= now - USE_NOTED_EVERY))
        .values(last_used_at=now)
    )


@dataclass(frozen=True)
class Account:
    """What signing in needs to know of an account before it compares passwords, which takes long."""

    user_id: uuid.UUID
    password_hash: str | None


def find_account(session: Session, email: str) -> Account | None:
    """The active account with this address; None when there is none."""
    user = session.scalar(
        sa.select(User).where(User.email == credentials.normalise_email(email), User.active.is_(True))
    )
    return Account(user.id, user.password_hash) if user else None


def check_password(account: Account | None, password: str) -> Account:
    """The account, when the password is right; the same work and the same answer for every other case.

    Raises Unauthorized. Holds no database connection, since it takes a quarter of a second.
    """
    right = credentials.verify_password(account.password_hash if account else None, password)
    if account is None or not right:
        raise Unauthorized("The address or the password is wrong.")
    return account


def login(session: Session, account: Account, days: int) -> tuple[Token, str]:
    """A token for somebody whose password was right, unless it, or the account, was changed in the meantime."""
    user = session.scalar(sa.select(User).where(User.id == account.user_id).with_for_update())
    if user is None or not user.active or user.password_hash != account.password_hash:
        raise Unauthorized("The address or the password is wrong.")
    return credentials.issue_token(session, user, LOGIN_NAME, database.now(session) + dt.timedelta(days=days))


def create_token(
    session: Session, who: Principal, *, name: str, expires_in_days: int | None = None
) -> tuple[Token, str]:
    """A personal token of the caller's; the row, and the token itself.

    Raises Unauthorized when the caller was deleted or deactivated in this moment.
    """
    user = session.scalar(sa.select(User).where(User.id == who.user_id).with_for_update())
    if user is None or not user.active:
        raise Unauthorized("The token is wrong, expired or revoked.")
    expires_at = database.now(session) + dt.timedelta(days=expires_in_days) if expires_in_days else None
    return credentials.issue_token(session, user, name, expires_at)


def list_tokens(session: Session, who: Principal, *, page: PageRequest) -> Page[Token]:
    """The caller's tokens, newest first."""
    own = sa.select(Token).where(Token.user_id == who.user_id)
    return fetch(session, own.order_by(Token.created_at.desc(), Token.id), page)


def revoke_token(session: Session, who: Principal, token_id: uuid.UUID) -> None:
    """End a token of the caller's own; an admin ends anybody's. Raises NotFound for one that is not theirs to see."""
    token = session.get(Token, token_id, with_for_update=True)
    if token is None or (token.user_id != who.user_id and who.role != Role.ADMIN):
        raise NotFound("There is no such token.")
    if token.revoked_at is None:
        token.revoked_at = database.now(session)
