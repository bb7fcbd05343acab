"""Whether this service can do its work."""

from sqlalchemy.exc import SQLAlchemyError

from shared import database, migrations
from shared.database import Sessions
from shared.errors import Unavailable


def check_database(sessions: Sessions) -> None:
    """Raise Unavailable, naming the part, unless the database answers and has the schema that this code needs."""
    try:
        with database.reading(sessions) as session:
            revision = migrations.current(session.connection())
    except SQLAlchemyError:
        raise Unavailable("database: it does not answer") from None
    if revision is not None and not migrations.knows(revision):
        raise Unavailable(f"migrations: the database is at {revision}, of another version of Vedette")
    needed = migrations.head()
    if revision != needed:
        raise Unavailable(
            f"migrations: the database is at {revision or 'no revision'}, this version needs {needed}: vedette db upgrade"
        )
