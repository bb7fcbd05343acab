"""The models, one module per aggregate. Importing this package registers every table."""

from shared.models import (
    asset,
    channel,
    coverage,
    enrichment,
    finding,
    idempotency,
    mirror,
    notification,
    periodic_job,
    scan,
    served,
    task,
    user,
)

__all__ = [
    "asset",
    "channel",
    "coverage",
    "enrichment",
    "finding",
    "idempotency",
    "mirror",
    "notification",
    "periodic_job",
    "scan",
    "served",
    "task",
    "user",
]
