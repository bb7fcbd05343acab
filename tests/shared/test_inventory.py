from shared import database, inventory
from shared.models.asset import InventorySource
from tests.builders import add_scan, components

SBOM, LIST = InventorySource.SBOM, InventorySource.INVENTORY


def names(sessions, asset_id, *sources):
    with database.reading(sessions) as session:
        return [each.name for each in inventory.load(session, asset_id, sources)]


def put(sessions, asset_id, source, *given):
    with database.transaction(sessions) as session:
        inventory.replace(session, asset_id, source, components(*given))


def test_a_source_replaces_only_its_own(sessions):
    with database.transaction(sessions) as session:
        asset_id, other = add_scan(session).asset_id, add_scan(session).asset_id
    put(sessions, asset_id, SBOM, "b", "a")
    put(sessions, asset_id, LIST, "c")
    put(sessions, other, SBOM, "z")
    put(sessions, asset_id, SBOM, "d", "b")
    assert names(sessions, asset_id, SBOM) == ["d", "b"]
    assert names(sessions, asset_id, LIST) == ["c"]
    assert sorted(names(sessions, asset_id, SBOM, LIST)) == ["b", "c", "d"]
    assert names(sessions, other, SBOM) == ["z"]


def test_nothing_can_be_put(sessions):
    with database.transaction(sessions) as session:
        asset_id = add_scan(session).asset_id
    put(sessions, asset_id, SBOM, "a")
    put(sessions, asset_id, SBOM)
    assert names(sessions, asset_id, SBOM) == []


def test_what_was_put_is_read_as_the_matcher_wants_it(sessions):
    given = {
        "name": "log4j-core",
        "version": None,
        "vendor": "org.apache.logging.log4j",
        "type": "library",
        "purl": "pkg:maven/org.apache.logging.log4j/log4j-core",
        "cpes": ["cpe:2.3:a:apache:log4j:*:*:*:*:*:*:*:*"],
    }
    with database.transaction(sessions) as session:
        asset_id = add_scan(session).asset_id
        inventory.replace(session, asset_id, SBOM, [given])
        (read,) = inventory.load(session, asset_id, [SBOM])
    assert (read.name, read.version, read.purl, read.cpes) == (
        "log4j-core",
        "",
        given["purl"],
        tuple(given["cpes"]),
    )
