import io

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from shared import database, hosts, inventory
from shared.models.asset import Host, InventorySource
from shared.nmap import report
from shared.nmap.ports import Ports
from shared.nmap.report import Host as Reported
from shared.nmap.report import Port, Report, Service
from tests.builders import add_scan, components
from tests.shared.nmap.samples import NGINX, OPENSSH, extraports, host, port, whole

NETWORK = InventorySource.NETWORK
SCANNED = '<scaninfo type="connect" protocol="tcp" numservices="1" services="{}"/>'


@pytest.fixture
def asset_id(sessions):
    with database.transaction(sessions) as session:
        return add_scan(session).asset_id


@pytest.fixture
def record(sessions, asset_id):
    def record(*told, asked=None, scanned="22,80"):
        read = report.read(io.BytesIO(whole(*told, scaninfo=SCANNED.format(scanned))), 10**7)
        with database.transaction(sessions) as session:
            return hosts.record(session, asset_id, read, asked)

    return record


@pytest.fixture
def stored(sessions, asset_id):
    """Name and place of every component of the network."""

    def stored():
        with database.reading(sessions) as session:
            return [
                (each.host, each.port, each.name) for each in inventory.load(session, asset_id, [NETWORK])
            ]

    return stored


@pytest.fixture
def known(sessions, asset_id):
    def known():
        with database.reading(sessions) as session:
            rows = session.scalars(sa.select(Host).where(Host.asset_id == asset_id).order_by(Host.id)).all()
            return {row.address: row for row in rows}

    return known


SSH, WEB = port(22, service=OPENSSH), port(80, service=NGINX)
BOTH = [
    ("192.0.2.7", "22/tcp", "OpenSSH"),
    ("192.0.2.7", "22/tcp", "linux kernel"),
    ("192.0.2.7", "80/tcp", "nginx"),
]


def test_hosts_and_their_ports_are_noted(record, stored, known):
    seen = record(host("192.0.2.7", SSH, WEB), host("192.0.2.8", state="down"))
    assert (seen.up, seen.down, seen.unfinished, seen.closed) == (1, ["192.0.2.8"], [], [])
    assert seen.opened == ["192.0.2.7 22/tcp", "192.0.2.7 80/tcp"]
    assert stored() == BOTH
    (row,) = known().values()
    assert [(each["port"], each["service"], each["open"], each["closed_at"]) for each in row.ports] == [
        ("22/tcp", "ssh", True, None),
        ("80/tcp", "http", True, None),
    ]


def test_a_host_keeps_its_identity_and_its_times(record, known):
    record(host("192.0.2.7", SSH))
    before = known()["192.0.2.7"]
    seen = record(host("192.0.2.7", SSH))
    after = known()["192.0.2.7"]
    assert (seen.opened, seen.closed) == ([], [])
    assert (after.id, after.first_seen_at, after.ports) == (before.id, before.first_seen_at, before.ports)
    assert after.last_seen_at >= before.last_seen_at


@pytest.mark.parametrize("told", [port(80, "closed"), extraports("closed")], ids=["listed", "unlisted"])
def test_a_closed_port_loses_its_components_and_is_noted(record, stored, known, told):
    record(host("192.0.2.7", SSH, WEB))
    seen = record(
        host("192.0.2.7", SSH, told if "portid" in told else "", extra=told if "extra" in told else "")
    )
    assert seen.closed == ["192.0.2.7 80/tcp"]
    assert stored() == BOTH[:2]
    _, web = known()["192.0.2.7"].ports
    assert (web["open"], web["closed_at"] is not None) == (False, True)
    again = record(host("192.0.2.7", SSH, WEB))
    assert again.opened == ["192.0.2.7 80/tcp"]
    assert known()["192.0.2.7"].ports[1]["open"]


@pytest.mark.parametrize(
    "told",
    [
        host("192.0.2.7", state="down"),
        host("192.0.2.7", attributes='timedout="true"', extra=extraports("closed")),
        host("192.0.2.7", port(22, "filtered"), port(80, "filtered")),
        host("192.0.2.7", extra=extraports("filtered")),
        host("192.0.2.7", extra=extraports("closed") + extraports("filtered")),
        host("192.0.2.9", extra=extraports("closed")),
        "",
    ],
    ids=[
        "down",
        "timed out",
        "filtered",
        "unlisted filtered",
        "unlisted of either kind",
        "another host",
        "no host",
    ],
)
def test_silence_closes_nothing(record, stored, known, told):
    record(host("192.0.2.7", SSH, WEB))
    seen = record(told)
    assert seen.closed == []
    assert stored() == BOTH
    assert all(each["open"] for each in known()["192.0.2.7"].ports)


def test_ports_that_were_not_looked_at_stay(record, stored):
    record(host("192.0.2.7", SSH, WEB))
    record(host("192.0.2.7", extra=extraports("closed")), scanned="22,443")
    assert stored() == BOTH[2:]


def test_another_service_on_the_same_port_takes_the_place_of_the_former(record, stored):
    record(host("192.0.2.7", SSH))
    seen = record(host("192.0.2.7", port(22, service=NGINX)))
    assert stored() == [("192.0.2.7", "22/tcp", "nginx")]
    assert (seen.opened, seen.closed) == ([], [])


def test_addresses_that_were_asked_for_and_not_told_of_are_unfinished(record, known):
    asked = {"192.0.2.7": ["db.example.org"], "192.0.2.8": [], "192.0.2.9": []}
    seen = record(host("192.0.2.7", SSH), host("192.0.2.8", attributes='timedout="true"'), asked=asked)
    assert seen.unfinished == ["192.0.2.8", "192.0.2.9"]
    assert known()["192.0.2.7"].names == ["db.example.org"]


def test_the_other_sources_are_left_alone(sessions, asset_id, record):
    with database.transaction(sessions) as session:
        inventory.replace(session, asset_id, InventorySource.INVENTORY, components("listed"))
    record(host("192.0.2.7", SSH))
    with database.reading(sessions) as session:
        assert [each.name for each in inventory.load(session, asset_id, [InventorySource.INVENTORY])] == [
            "listed"
        ]


def test_a_host_that_is_gone_for_good_can_be_forgotten(sessions, asset_id, record, stored, known):
    record(host("192.0.2.7", SSH), host("192.0.2.8", WEB))
    with database.transaction(sessions) as session:
        assert hosts.forget(session, asset_id, "192.0.2.7")
        assert not hosts.forget(session, asset_id, "192.0.2.9")
    assert stored() == [("192.0.2.8", "80/tcp", "nginx")]
    assert set(known()) == {"192.0.2.8"}


def test_of_very_many_ports_the_first_are_named_and_all_counted(monkeypatch):
    monkeypatch.setattr(hosts, "LISTED", 2)
    told = hosts.Seen(up=1, opened=["a", "b", "c"]).document()
    assert (told["opened"], told["names"]["opened"]) == (3, ["a", "b"])


def test_components_are_read_back_as_they_were_found(sessions, asset_id, record):
    record(host("192.0.2.7", SSH))
    with database.reading(sessions) as session:
        ssh = inventory.load(session, asset_id, [NETWORK])[0]
    assert (ssh.host, ssh.port, ssh.at_most) == ("192.0.2.7", "22/tcp", "possible")
    assert "Ubuntu" in ssh.because


STATES = st.sampled_from(["open", "closed", "filtered"])
HOSTS = st.builds(
    lambda last, up, timed_out, states: Reported(
        f"192.0.2.{last}",
        up=up,
        timed_out=timed_out,
        ports=tuple(
            Port("tcp", number, state, Service("x", f"product {number}", "1.0"))
            for number, state in sorted(states.items())
        ),
    ),
    st.integers(1, 3),
    st.booleans(),
    st.booleans(),
    st.dictionaries(st.integers(1, 4), STATES, max_size=4),
)
REPORTS = st.lists(HOSTS, max_size=3, unique_by=lambda each: each.address).map(
    lambda told: Report(hosts=told, scanned={"tcp": Ports(((1, 4),))}, finished=True)
)


@given(st.lists(REPORTS, max_size=4))
def test_what_is_known_is_what_each_port_last_answered(reports):
    """Against the plain rule: per place the last answer counts, and only an answer changes anything."""
    expected, known = {}, []
    for each in reports:
        known = hosts.merged(known, each)
        for told in each.hosts:
            for found in told.ports if told.observed else ():
                if found.state == "open":
                    expected[told.address, found.label] = found.service.product
                elif found.state == "closed":
                    expected.pop((told.address, found.label), None)
    assert {(each.host, each.port): each.name for each in known} == expected
    assert len(known) == len(expected)
    assert hosts.merged(known, Report(finished=True)) == known
