"""Users: who they are and what they may do. There is always an active admin."""

import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from api_service.paging import Page, PageRequest, fetch
from api_service.services.tokens import LOGIN_NAME
from shared import credentials, database
from shared.errors import Conflict, NotFound
from shared.models.finding import FindingEvent
from shared.models.user import Role, Token, User


def create_user(session: Session, *, email: str, name: str, role: Role, password: str | None = None) -> User:
    """Add a user. Raises Conflict when the address is taken."""
    return credentials.create_user(session, email=email, name=name, role=role, password=password)


def list_users(
    session: Session, *, page: PageRequest, role: Role | None = None, active: bool | None = None
) -> Page[User]:
    """Users, newest first."""
    statement = sa.select(User)
    if role is not None:
        statement = statement.where(User.role == role)
    if active is not None:
        statement = statement.where(User.active == active)
    return fetch(session, statement.order_by(User.created_at.desc(), User.id), page)


def get_user(session: Session, user_id: uuid.UUID) -> User:
    """One user. Raises NotFound."""
    user = session.get(User, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    return user


def change_user(session: Session, user_id: uuid.UUID, changes: dict[str, Any]) -> User:
    """Change `email`, `name`, `role`, `active` or `password`.

    A new password, and deactivation, end what was signed in. Raises NotFound, and Conflict when the address is taken or no
    active admin would be left.
    """
    admins = _lock_admins(session)
    user = get_user(session, user_id)
    stays_admin = changes.get("role", user.role) == Role.ADMIN and changes.get("active", user.active)
    if not stays_admin:
        _refuse_last_admin(admins, user)
    for name in ("name", "role", "active"):
        if name in changes:
            setattr(user, name, changes[name])
    if changes.get("password"):
        user.password_hash = credentials.hash_password(changes["password"])
    if changes.get("password") or not user.active:
        _end_logins(session, user)
    if "email" in changes:
        user.email = credentials.normalise_email(changes["email"])
    try:
        session.flush()
    except IntegrityError:
        raise Conflict("There is another user with this address.") from None
    return user


def delete_user(session: Session, user_id: uuid.UUID) -> None:
    """Delete a user with all that is theirs alone: tokens and notifications.

    Raises NotFound, and Conflict for the last active admin and for somebody whom the history of findings names.
    """
    admins = _lock_admins(session)
    user = get_user(session, user_id)
    _refuse_last_admin(admins, user)
    if session.scalar(sa.select(sa.exists().where(FindingEvent.user_id == user.id))):
        raise Conflict("The history of findings names this user: deactivate instead.")
    session.delete(user)
    session.flush()


def _lock_admins(session: Session) -> set[uuid.UUID]:
    """The active admins, locked: of two requests that would each leave the other's admin, the second sees the first."""
    statement = sa.select(User.id).where(User.role == Role.ADMIN, User.active.is_(True)).order_by(User.id)
    return set(session.scalars(statement.with_for_update()))


def _refuse_last_admin(admins: set[uuid.UUID], user: User) -> None:
    if admins == {user.id}:
        raise Conflict("This is the last active admin; make somebody else one first.")


def _end_logins(session: Session, user: User) -> None:
    session.execute(
        sa.update(Token)
        .where(Token.user_id == user.id, Token.name == LOGIN_NAME, Token.revoked_at.is_(None))
        .values(revoked_at=database.now(session))
    )
