"""The scanners: each collects the components of a scan's asset. Adding one is a module and a line in `SCANNERS`."""

from collections.abc import Sequence
from typing import Protocol

from shared.matching.component import Component
from shared.models.asset import InventorySource
from shared.models.scan import Scan, ScannerKind
from worker_service.scanners import inventory, sbom
from worker_service.tasks import Work


class Scanner(Protocol):
    """Collects components; a long one reports progress and looks at `work.raise_if_cancelled()` as it goes."""

    SOURCE: InventorySource
    """Which part of the asset's inventory it speaks for."""

    def collect(self, work: Work, scan: Scan) -> Sequence[Component]:
        """The components of the scan's asset. Raises Permanent when there is nothing it could collect from."""


SCANNERS: dict[ScannerKind, Scanner] = {
    ScannerKind.SBOM: sbom,
    ScannerKind.INVENTORY: inventory,
}
"""Every scanner by the name that scans give it."""
