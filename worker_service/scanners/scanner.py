"""What a scanner is, and what it gives back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.orm import Session

from shared.matching.component import Component
from shared.models.asset import InventorySource
from shared.models.base import Document
from shared.models.scan import Scan
from worker_service.tasks import Work


def nothing_new(_session: Session) -> None:
    """Of what is stored already."""


@dataclass(frozen=True)
class Collected:
    """What a scanner found."""

    components: Sequence[Component]
    keep: Callable[[Session], Document | None] = nothing_new
    """Writes what is new, in the transaction that records the findings; gives the run's `network`, if it has one."""


class Scanner(Protocol):
    """Collects components; a long one reports progress and looks at `work.raise_if_cancelled()` as it goes."""

    SOURCE: InventorySource
    """Which part of the asset's inventory it speaks for."""

    def collect(self, work: Work, scan: Scan) -> Collected:
        """The components of the scan's asset. Raises Permanent when there is nothing it could collect from."""
