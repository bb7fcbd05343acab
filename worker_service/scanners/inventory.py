"""The `inventory` scanner: the components that somebody listed."""

from shared import inventory
from shared.errors import Permanent
from shared.models.asset import InventorySource
from shared.models.scan import Scan
from worker_service.scanners.scanner import Collected
from worker_service.tasks import Work

SOURCE = InventorySource.INVENTORY


def collect(work: Work, scan: Scan) -> Collected:
    """The stored list."""
    with work.reading() as session:
        components = inventory.load(session, scan.asset_id, [SOURCE])
    if not components:
        raise Permanent("The asset has no inventory yet: PUT one to /assets/{id}/inventory first.")
    return Collected(components)
