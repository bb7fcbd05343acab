"""FIRST's EPSS scores."""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared.models.enrichment import EpssScore, Source
from worker_service.clients import epss
from worker_service.clients.epss import Scores
from worker_service.clients.http import Patience
from worker_service.handlers import bulk
from worker_service.handlers.enrichment import source
from worker_service.handlers.enrichment.source import Kind
from worker_service.tasks import Effect, Work

BATCH = 10_000
"""Rows in the hand at once."""


def sync_epss(work: Work) -> Effect:
    """Bring what is held to FIRST's present scores. Raises as `source.sync` does."""
    return sync_with(work, source.PATIENCE)


def sync_with(work: Work, patience: Patience) -> Effect:
    """`sync_epss`, with so much patience."""
    return source.sync(work, KIND, patience)


def _replace(session: Session, scores: Scores) -> int:
    """All new: from one day to the next nearly every percentile moves."""
    session.execute(sa.delete(EpssScore))
    for start in range(0, len(scores), BATCH):
        part = slice(start, start + BATCH)
        rows = zip(scores.ids[part], scores.scores[part], scores.percentiles[part], strict=True)
        bulk.insert(session, EpssScore, ("vulnerability_id", "score", "percentile"), rows)
    return session.scalar(sa.select(sa.func.count()).select_from(EpssScore)) or 0


KIND = Kind(Source.EPSS, "the file of EPSS scores", "EPSS_URL", epss.read, _replace, lambda _session: {})
