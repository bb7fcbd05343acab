"""CISA's catalogue of known exploited vulnerabilities, and the findings that it concerns."""

import dataclasses

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared.lifecycle import finding
from shared.models.enrichment import KnownExploited, Source
from worker_service.clients import kev
from worker_service.clients.http import Patience
from worker_service.clients.kev import Catalogue
from worker_service.handlers.enrichment import source
from worker_service.handlers.enrichment.source import Kind
from worker_service.tasks import Effect, Work


def sync_kev(work: Work) -> Effect:
    """Bring what is held to CISA's present catalogue, and the open findings with it. Raises as `source.sync` does."""
    return sync_with(work, source.PATIENCE)


def sync_with(work: Work, patience: Patience) -> Effect:
    """`sync_kev`, with so much patience."""
    return source.sync(work, KIND, patience)


def _replace(session: Session, catalogue: Catalogue) -> int:
    session.execute(sa.delete(KnownExploited))
    session.execute(sa.insert(KnownExploited), list(map(dataclasses.asdict, catalogue.entries.values())))
    return len(catalogue)


KIND = Kind(
    Source.KEV, "the CISA KEV catalogue", "KEV_URL", kev.read, _replace, finding.follow_known_exploited
)
