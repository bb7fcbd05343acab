"""The `sbom` scanner: the components of the asset's SBOM, read when it was put."""

from shared import inventory
from shared.errors import Permanent
from shared.models.asset import Asset, InventorySource
from shared.models.scan import Scan
from worker_service.scanners.scanner import Collected
from worker_service.tasks import Work

SOURCE = InventorySource.SBOM


def collect(work: Work, scan: Scan) -> Collected:
    """The stored components of the document; an SBOM without components is a document like any other."""
    with work.reading() as session:
        if session.get_one(Asset, scan.asset_id).document is None:
            raise Permanent("The asset has no SBOM yet: PUT one to /assets/{id}/sbom first.")
        return Collected(inventory.load(session, scan.asset_id, [SOURCE]))
