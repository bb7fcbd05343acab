"""Network scans, hosts and reports of nmap over HTTP."""

import gzip

import pytest
import structlog

from api_service.schemas.scans import SCAN_EXAMPLES
from tests.shared.nmap.samples import NGINX, OPENSSH, extraports, host, port, whole
from tests.shared.nmap.test_report import BOMB
from tests.shared.test_targets import HOSTILE, HUGE, OUTSIDE

SCANS = "/vulnerabilities/scans"
XML = "application/xml"


@pytest.fixture
def office(analyst):
    """The path of a network."""
    return "/assets/" + analyst.post("/assets", {"name": "office", "kind": "network"}).json["id"]


@pytest.fixture
def define(analyst, office):
    def define(**options):
        body = {
            "name": "weekly",
            "asset_id": office.removeprefix("/assets/"),
            "scanner": "network",
            "options": options,
        }
        return analyst.post(SCANS, body)

    return define


def test_a_network_scan_is_defined_as_the_documentation_shows(analyst, office):
    example = SCAN_EXAMPLES["network"]["value"] | {"asset_id": office.removeprefix("/assets/")}
    created = analyst.post(SCANS, example)
    assert (created.status_code, created.json["options"]) == (201, example["options"])
    assert created.json["schedule"] == {"cron": "0 3 * * 0", "timezone": "Europe/Berlin"}
    assert created.json["next_run_at"] is not None
    assert analyst.post(f"{SCANS}/{created.json['id']}/start").status_code == 202


def test_every_option_is_taken(define):
    options = {
        "targets": ["127.0.0.1", "127.0.0.0/28", "127.0.0.1-9", "localhost", "::1"],
        "ports": "22,80-90",
        "timing": "polite",
        "technique": "syn",
        "udp": True,
        "os": True,
        "assume_up": True,
    }
    assert define(**options).json["options"] == options
    assert define().json["options"] == {}


def test_hostile_targets_are_422_and_their_place_is_named(define):
    for target in (*HOSTILE, *OUTSIDE, *HUGE):
        answer = define(targets=["127.0.0.1", target])
        named = list(answer.json.get("errors", ()))
        # What no database could store is refused before anybody looks at what it means.
        assert (answer.status_code, named) == (422, [] if "\x00" in target else ["options.targets.1"]), target


def test_a_refused_address_is_named_with_the_setting_and_logged(define):
    with structlog.testing.capture_logs() as logs:
        answer = define(targets=["169.254.169.254"])
    (why,) = answer.json["errors"]["options.targets.0"]
    assert "169.254.169.254" in why
    assert "VEDETTE_SCAN_ALLOWED_TARGETS" in why
    assert [each["address"] for each in logs if each["event"] == "scan_target_refused"] == ["169.254.169.254"]


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"ports": "all"}, "options.ports"),
        ({"ports": "22 --script vuln"}, "options.ports"),
        ({"ports": 22}, "options.ports"),
        ({"timing": "insane"}, "options.timing"),
        ({"technique": "-sS"}, "options.technique"),
        ({"udp": "yes"}, "options.udp"),
        ({"targets": "127.0.0.1"}, "options.targets"),
        ({"targets": [None]}, "options.targets.0"),
        ({"script": "vuln"}, "options.script"),
        ({"-oN": "/tmp/x"}, "options.-oN"),
    ],
)
def test_an_option_that_cannot_be_used_is_422_and_named(define, options, place):
    answer = define(**options)
    assert (answer.status_code, set(answer.json["errors"])) == (422, {place})


def test_a_change_is_checked_like_a_new_scan(analyst, define):
    scan = f"{SCANS}/{define(targets=['127.0.0.1']).json['id']}"
    assert analyst.patch(scan, {"options": {"targets": ["10.0.0.1"]}}).status_code == 422
    assert analyst.patch(scan, {"scanner": "inventory"}).status_code == 422
    assert analyst.patch(scan, {"options": {"targets": ["127.0.0.2"]}}).json["options"] == {
        "targets": ["127.0.0.2"]
    }


REPORT = whole(
    host("192.0.2.7", port(22, service=OPENSSH), port(80, service=NGINX)),
    host("192.0.2.8", state="down"),
)


@pytest.mark.parametrize("content_type", [XML, "text/xml", "application/octet-stream"])
def test_a_report_is_put_and_read(analyst, viewer, office, content_type):
    answer = analyst.put(f"{office}/nmap", data=REPORT, content_type=content_type)
    assert answer.status_code == 200
    network = answer.json["network"]
    assert (answer.json["nmap_version"], answer.json["components"]) == ("7.93", 3)
    assert (network["up"], network["down"], network["opened"], network["names"]["down"]) == (
        1,
        1,
        2,
        ["192.0.2.8"],
    )
    components = viewer.get(f"{office}/components?source=network").json
    assert [(each["name"], each["host"], each["port"]) for each in components] == [
        ("OpenSSH", "192.0.2.7", "22/tcp"),
        ("linux kernel", "192.0.2.7", "22/tcp"),
        ("nginx", "192.0.2.7", "80/tcp"),
    ]


def test_a_report_may_be_packed(analyst, office):
    assert (
        analyst.put(f"{office}/nmap", data=gzip.compress(REPORT), content_type="application/gzip").status_code
        == 200
    )


def test_a_second_report_notes_what_opened_and_closed(analyst, viewer, office):
    analyst.put(f"{office}/nmap", data=REPORT, content_type=XML)
    later = whole(
        host("192.0.2.7", port(22, service=OPENSSH), port(443, service=NGINX), extra=extraports("closed"))
    )
    network = analyst.put(f"{office}/nmap", data=later, content_type=XML).json["network"]
    assert (network["names"]["opened"], network["names"]["closed"]) == (
        ["192.0.2.7 443/tcp"],
        ["192.0.2.7 80/tcp"],
    )
    (told,) = viewer.get(f"{office}/hosts").json
    assert [(each["port"], each["open"]) for each in told["ports"]] == [
        ("22/tcp", True),
        ("80/tcp", False),
        ("443/tcp", True),
    ]
    assert told["ports"][0]["banner"].startswith("OpenSSH 7.2p2")


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (BOMB.encode(), "document type declaration"),
        (b'<!DOCTYPE nmaprun SYSTEM "http://127.0.0.1:1/x"><nmaprun/>', "document type declaration"),
        (REPORT[:-150], "ends too early"),
        (b"<bom/>", "outermost element"),
        (b"{}", "malformed"),
        (b"", "ends too early"),
        (gzip.compress(REPORT)[:-9], "gzip stream"),
    ],
)
def test_a_report_that_cannot_be_read_is_422_and_changes_nothing(analyst, office, document, why):
    analyst.put(f"{office}/nmap", data=REPORT, content_type=XML)
    answer = analyst.put(f"{office}/nmap", data=document, content_type=XML)
    assert answer.status_code == 422
    ((place, (told,)),) = answer.json["errors"].items()
    assert place
    assert why in told
    assert len(analyst.get(f"{office}/components").json) == 3


def test_a_report_that_unpacks_without_end_is_413(analyst, office):
    answer = analyst.put(f"{office}/nmap", data=gzip.compress(b" " * 20_000_000), content_type=XML)
    assert answer.status_code in (413, 422)


def test_other_types_and_other_people_are_refused(analyst, viewer, office):
    assert analyst.put(f"{office}/nmap", data=REPORT, content_type="application/json").status_code == 415
    assert viewer.put(f"{office}/nmap", data=REPORT, content_type=XML).status_code == 403
    assert viewer.delete(f"{office}/hosts/192.0.2.7").status_code == 403


def test_a_host_can_be_forgotten(analyst, sessions, office):
    analyst.put(f"{office}/nmap", data=REPORT, content_type=XML)
    assert analyst.delete(f"{office}/hosts/192.0.2.7").status_code == 204
    assert analyst.get(f"{office}/hosts").json == []
    assert analyst.get(f"{office}/components").json == []
    assert analyst.delete(f"{office}/hosts/192.0.2.7").status_code == 404


def test_the_example_of_the_documentation_works(app, analyst, office):
    document = app.test_client().get("/openapi.json").json
    body = document["paths"]["/api/v1/assets/{asset_id}/nmap"]["put"]["requestBody"]["content"]
    for content_type, content in body.items():
        answer = analyst.put(f"{office}/nmap", data=content["example"].encode(), content_type=content_type)
        assert (answer.status_code, answer.json["components"]) == (200, 1)
