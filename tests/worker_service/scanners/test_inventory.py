import pytest

from shared import database, inventory
from shared.errors import Permanent
from shared.models.asset import InventorySource
from tests.builders import add_scan, components
from worker_service.scanners import inventory as scanner


@pytest.fixture
def scan(sessions):
    with database.transaction(sessions) as session:
        return add_scan(session)


def test_it_collects_the_list(sessions, work, scan):
    with database.transaction(sessions) as session:
        inventory.replace(session, scan.asset_id, InventorySource.INVENTORY, components("a", "b"))
        inventory.replace(session, scan.asset_id, InventorySource.SBOM, components("c"))
    assert [each.name for each in scanner.collect(work, scan).components] == ["a", "b"]


def test_without_a_list_there_is_nothing_to_scan(work, scan):
    with pytest.raises(Permanent, match="no inventory yet"):
        scanner.collect(work, scan)
