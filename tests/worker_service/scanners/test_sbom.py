import pytest
import sqlalchemy as sa

from shared import database, inventory
from shared.errors import Permanent
from shared.models.asset import Asset, InventorySource
from shared.models.scan import ScannerKind
from tests.builders import add_scan, components
from worker_service.scanners import SCANNERS
from worker_service.scanners import sbom as scanner


@pytest.fixture
def scan(sessions):
    with database.transaction(sessions) as session:
        return add_scan(session, ScannerKind.SBOM)


@pytest.fixture
def put(sessions, scan):
    def put(*names):
        with database.transaction(sessions) as session:
            session.execute(sa.update(Asset).values(document={"format": "cyclonedx"}))
            inventory.replace(session, scan.asset_id, InventorySource.SBOM, components(*names))

    return put


def test_it_collects_the_documents_components(work, scan, put):
    put("a", "b")
    assert [each.name for each in scanner.collect(work, scan).components] == ["a", "b"]


def test_a_document_without_components_is_a_document(work, scan, put):
    put()
    assert list(scanner.collect(work, scan).components) == []


def test_without_a_document_there_is_nothing_to_scan(work, scan):
    with pytest.raises(Permanent, match="no SBOM yet"):
        scanner.collect(work, scan)


def test_every_kind_of_scan_has_its_scanner():
    assert set(SCANNERS) == set(ScannerKind)
