"""The sources beside the NVD: each is one published file, read daily and taken over as a whole or not at all.

`source` is what all have in common, `kev` and `epss` say how each is read and written.
"""

from worker_service.handlers.enrichment.epss import sync_epss
from worker_service.handlers.enrichment.kev import sync_kev

__all__ = ["sync_epss", "sync_kev"]
