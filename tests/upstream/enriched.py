"""An installation under test that reads CISA's and FIRST's files from a fake, in a hurry."""

import contextlib
import functools
from dataclasses import dataclass

import sqlalchemy as sa
from dramatiq import Retry

from shared import database, enrichment
from shared.database import Sessions
from shared.models.enrichment import EnrichmentSource, Source
from shared.models.task import Task, TaskState
from shared.settings import Settings
from shared.tasks import ask
from tests.upstream.published import EPSS, KEV, Publisher
from tests.upstream.quick import PATIENCE
from worker_service.handlers.enrichment import epss, kev
from worker_service.tasks import Frame

HANDLERS = {Source.KEV: kev.sync_with, Source.EPSS: epss.sync_with}


@dataclass
class Installation:
    """Runs whole tasks through the real frame, one attempt each."""

    sessions: Sessions
    settings: Settings
    publisher: Publisher

    def sync(self, source: Source) -> Task:
        """Ask for a source to be read, and do it; the task as it is afterwards."""
        self.settings = self.settings.with_changes(
            kev_url=self.publisher.url + KEV, epss_url=self.publisher.url + EPSS
        )
        return self.attempt(source)

    def attempt(self, source: Source) -> Task:
        """The same, with the addresses as they are set."""
        with database.transaction(self.sessions) as session:
            task_id = ask(session, enrichment.CONTRACTS[source])
        frame = Frame(self.sessions, self.settings)
        with contextlib.suppress(Retry):
            frame.run(str(task_id), functools.partial(HANDLERS[source], patience=PATIENCE))
        with database.transaction(self.sessions) as session:
            task = session.get_one(Task, task_id)
            session.execute(  # one that is to be tried again would answer for the next
                sa.update(Task)
                .where(Task.id == task_id, Task.ended_at.is_(None))
                .values(state=TaskState.FAILURE, ended_at=database.now(session), dedupe_key=None)
                .execution_options(synchronize_session=False)
            )
            session.expunge_all()
        return task

    def look(self, source: Source) -> enrichment.SourceHealth:
        """How the source stands."""
        with database.reading(self.sessions) as session:
            asked = enrichment.address(self.settings, source) is not None
            return enrichment.look(session, source, asked=asked)

    def change(self, source: Source, **values: object) -> None:
        """Write into the source's row what no reading would, such as a time that has passed."""
        with database.transaction(self.sessions) as session:
            change = sa.update(EnrichmentSource).where(EnrichmentSource.name == source)
            session.execute(change.values(**values))
