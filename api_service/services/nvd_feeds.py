"""The mirror's feeds for who asks for them."""

from sqlalchemy.orm import Session

from shared import served_feeds, serving
from shared.errors import NotFound
from shared.served_feeds import Look


def look(session: Session, name: str) -> Look:
    """How a feed stands. Raises NotFound when there is no such feed, Unavailable while the mirror is not complete."""
    standing = serving.standing(session)
    if name not in served_feeds.names(session, served_feeds.kind_of(name)):
        raise NotFound("There is no such feed.")
    return served_feeds.look(session, name, standing)
