"""Assets and their inventory over HTTP."""

import gzip
import io
import json
import threading
import uuid

import pytest
import sqlalchemy as sa

from api_service.app import create_app
from api_service.resources import assets as resource
from shared import database
from shared.models.asset import Component, InventorySource
from tests.api_service.conftest import Caller

SHOP = {"name": "web shop", "kind": "application", "tags": ["prod", "team:shop", "prod"]}
OPENSSL = "cpe:2.3:a:openssl:openssl:1.0.1f:*:*:*:*:*:*:*"


def cyclonedx(*names, **extra):
    components = [{"type": "library", "name": name, "version": "1.0"} for name in names]
    return json.dumps(
        {"bomFormat": "CycloneDX", "specVersion": "1.5", "components": components, **extra}
    ).encode()


@pytest.fixture
def shop(analyst):
    """The path of an asset."""
    return "/assets/" + analyst.post("/assets", SHOP).json["id"]


def names_of(caller, asset, query=""):
    return [each["name"] for each in caller.get(f"{asset}/components{query}").json]


def test_a_created_asset_is_answered_found_and_listed(analyst, viewer):
    created = analyst.post("/assets", SHOP)
    assert created.status_code == 201
    assert created.json["tags"] == ["prod", "team:shop"]
    assert created.json["criticality"] == "medium"
    assert created.json["created_by"] == str(analyst.user_id)
    assert created.json["document"] is None
    assert viewer.get(created.headers["Location"]).json == created.json
    assert viewer.get("/assets").json == [created.json]


def test_a_name_belongs_to_one_asset(analyst, shop):
    assert analyst.post("/assets", SHOP).status_code == 409
    other = analyst.post("/assets", {**SHOP, "name": "other"}).json["id"]
    answer = analyst.patch(f"/assets/{other}", {"name": "web shop"})
    assert answer.status_code == 409
    assert analyst.patch(shop, {"name": "web shop"}).status_code == 200


def test_a_repeated_post_with_a_key_adds_one(analyst):
    first, again = (analyst.post("/assets", SHOP, headers={"Idempotency-Key": "k1"}) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json == again.json


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name=web shop", ["web shop"]),
        ("name=web", []),
        ("kind=host", ["db 100% sure"]),
        ("tag=prod", ["web shop"]),
        ("tag=pro", []),
        ("tag=Büro", ["db 100% sure"]),
        ("q=WEB", ["web shop"]),
        ("q=100%25", ["db 100% sure"]),
        ("q=_", []),
        ("", ["db 100% sure", "web shop"]),
        ("page_size=1&page=2", ["web shop"]),
    ],
)
@pytest.mark.usefixtures("shop")
def test_filters(analyst, query, found):
    analyst.post("/assets", {"name": "db 100% sure", "kind": "host", "tags": ["Büro"]})
    answer = analyst.get(f"/assets?{query}")
    assert [each["name"] for each in answer.json] == found


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 201),
        ("name", "a\x00b"),
        ("name", "\udc80"),
        ("kind", "toaster"),
        ("tags", ["ok", ""]),
        ("tags", "prod"),
        ("tags", ["x"] * 51),
        ("criticality", None),
        ("owner", "me"),
    ],
)
def test_a_wrong_field_is_422(analyst, field, value):
    assert analyst.post("/assets", {**SHOP, field: value}).status_code == 422


def test_only_what_is_sent_changes(analyst, shop):
    before = analyst.get(shop).json
    changed = analyst.patch(shop, {"tags": ["b", "a", "b"]}).json
    assert changed["tags"] == ["b", "a"]
    assert {**changed, "tags": None, "updated_at": None} == {**before, "tags": None, "updated_at": None}
    assert changed["updated_at"] >= before["updated_at"]


def test_who_may_what(viewer, analyst, admin, nobody, shop):
    assert nobody.get(shop).status_code == 401
    assert viewer.get(shop).status_code == 200
    assert viewer.post("/assets", SHOP).status_code == 403
    assert viewer.put(f"{shop}/sbom", data=cyclonedx("a")).status_code == 403
    assert analyst.delete(shop).status_code == 403
    assert admin.delete(shop).status_code == 204
    assert admin.delete(shop).status_code == 404


def test_an_asset_goes_with_all_that_is_about_it(admin, shop, sessions):
    admin.put(f"{shop}/sbom", data=cyclonedx("a"))
    asset_id = shop.removeprefix("/assets/")
    admin.post("/vulnerabilities/scans", {"name": "s", "asset_id": asset_id, "scanner": "sbom"})
    assert admin.delete(shop).status_code == 204
    with database.reading(sessions) as session:
        assert session.query(Component).count() == 0


@pytest.mark.parametrize("path", ["", "/components"])
@pytest.mark.parametrize("name", [str(uuid.UUID(int=0)), "x"])
def test_what_does_not_exist_is_404(viewer, name, path):
    assert viewer.get(f"/assets/{name}{path}").status_code == 404


class TestSbom:
    @pytest.mark.parametrize(
        "content_type",
        [
            None,
            "application/json",
            "application/json; charset=utf-8",
            "application/vnd.cyclonedx+json; version=1.5",
            "application/octet-stream",
            "text/plain",
        ],
    )
    def test_a_document_becomes_components(self, analyst, shop, content_type):
        answer = analyst.put(f"{shop}/sbom", data=cyclonedx("a", "b"), content_type=content_type)
        assert answer.status_code == 200
        assert answer.json == {
            "format": "cyclonedx-json",
            "spec_version": "1.5",
            "components": 2,
            "skipped": [],
            "skipped_total": 0,
        }
        assert names_of(analyst, shop) == ["a", "b"]
        document = analyst.get(shop).json["document"]
        assert (document["format"], document["components"]) == ("cyclonedx-json", 2)
        assert len(document["sha256"]) == 64

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("application/vnd.cyclonedx+xml", resource._XML_EXAMPLE),
            ("text/xml", resource._XML_EXAMPLE),
            ("text/spdx", resource._SPDX_EXAMPLE),
            ("application/json", json.dumps(resource._JSON_EXAMPLE)),
        ],
    )
    def test_the_examples_of_the_documentation_work(self, analyst, shop, content_type, body):
        answer = analyst.put(f"{shop}/sbom", data=body, content_type=content_type)
        assert answer.status_code == 200, answer.json
        assert answer.json["skipped"] == []
        (component,) = analyst.get(f"{shop}/components").json
        assert (component["name"], component["version"], component["cpes"]) == (
            "openssl",
            "1.0.1f",
            [OPENSSL],
        )

    @pytest.mark.parametrize("headers", [{}, {"Content-Encoding": "gzip"}])
    def test_gzip_is_unpacked_whether_declared_or_not(self, analyst, shop, headers):
        answer = analyst.put(f"{shop}/sbom", data=gzip.compress(cyclonedx("a")), headers=headers)
        assert answer.status_code == 200
        assert names_of(analyst, shop) == ["a"]

    def test_a_body_without_a_length_is_read(self, analyst, shop):
        answer = analyst.put(
            f"{shop}/sbom",
            input_stream=io.BytesIO(cyclonedx("a")),
            environ_overrides={"wsgi.input_terminated": True},
        )
        assert answer.status_code == 200
        assert names_of(analyst, shop) == ["a"]

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{}",
            b"hello",
            b"\xff\xfe\xfd",
            b'{"bomFormat": "CycloneDX", "specVersion": "1.5", "components": [',
            b'<!DOCTYPE x [<!ENTITY a "b">]><bom xmlns="http://cyclonedx.org/schema/bom/1.4">&a;</bom>',
            gzip.compress(cyclonedx("new"))[:-20],
            gzip.compress(gzip.compress(cyclonedx("new"))),
        ],
    )
    def test_what_cannot_be_read_says_where_and_why_and_changes_nothing(self, analyst, shop, body):
        analyst.put(f"{shop}/sbom", data=cyclonedx("former"))
        before = analyst.get(shop).json
        answer = analyst.put(f"{shop}/sbom", data=body)
        assert answer.status_code == 422
        ((where, (why,)),) = answer.json["errors"].items()
        assert where
        assert why
        assert names_of(analyst, shop) == ["former"]
        assert analyst.get(shop).json == before

    def test_only_the_first_hundred_remarks_are_answered(self, analyst, shop):
        body = json.loads(cyclonedx("good"))
        body["components"] += [{"type": "library", "version": "1"}] * 150
        answer = analyst.put(f"{shop}/sbom", data=json.dumps(body))
        assert answer.status_code == 200
        assert (len(answer.json["skipped"]), answer.json["skipped_total"]) == (100, 150)
        assert set(answer.json["skipped"][0]) == {"where", "why"}

    @pytest.mark.parametrize(
        "headers",
        [
            {"Content-Type": "image/png"},
            {"Content-Type": "multipart/form-data; boundary=x"},
            {"Content-Encoding": "br"},
        ],
    )
    def test_another_type_or_packing_is_415(self, analyst, shop, headers):
        assert analyst.put(f"{shop}/sbom", data=cyclonedx("a"), headers=headers).status_code == 415

    def test_an_asset_that_does_not_exist_is_404(self, analyst):
        assert analyst.put(f"/assets/{uuid.uuid4()}/sbom", data=cyclonedx("a")).status_code == 404


class Endless(io.RawIOBase):
    """A body that never ends, and counts what was read of it."""

    def __init__(self):
        self.given = 0

    def read(self, size=-1):
        size = 65536 if size is None or size < 0 else size
        self.given += size
        return b" " * size

    def readinto(self, buffer):
        self.given += len(buffer)
        buffer[:] = b" " * len(buffer)
        return len(buffer)

    def seek(self, *_):
        return 0

    def tell(self):
        return 0


class TestSize:
    @pytest.fixture
    def small(self, settings, sessions, analyst):
        """An analyst before an application with small limits."""
        app = create_app(settings.with_changes(max_document_bytes=10_000), sessions)
        return Caller(app.test_client(), analyst.token, analyst.user_id)

    def test_a_larger_document_is_413_and_changes_nothing(self, small, shop):
        small.put(f"{shop}/sbom", data=cyclonedx("former"))
        answer = small.put(f"{shop}/sbom", data=cyclonedx("x" * 20_000))
        assert answer.status_code == 413
        assert answer.content_type == "application/problem+json"
        assert names_of(small, shop) == ["former"]

    def test_an_endless_body_is_refused_after_the_limit(self, small, shop):
        body = Endless()
        answer = small.put(
            f"{shop}/sbom", input_stream=body, environ_overrides={"wsgi.input_terminated": True}
        )
        assert answer.status_code == 413
        assert body.given < 200_000

    def test_what_unpacks_to_more_is_413(self, small, shop):
        answer = small.put(f"{shop}/sbom", data=gzip.compress(cyclonedx("x" * 20_000)))
        assert answer.status_code == 413


class TestInventory:
    def test_a_list_takes_the_place_of_the_former_and_leaves_the_sbom(self, analyst, shop):
        analyst.put(f"{shop}/sbom", data=cyclonedx("from sbom"))
        for name in ("first", "second"):
            answer = analyst.put(f"{shop}/inventory", json={"components": [{"name": name}]})
            assert (answer.status_code, answer.json) == (200, {"components": 1})
        assert names_of(analyst, shop, "?source=inventory") == ["second"]
        assert names_of(analyst, shop, "?source=sbom") == ["from sbom"]
        assert sorted(names_of(analyst, shop)) == ["from sbom", "second"]
        assert names_of(analyst, shop, "?q=SBOM") == ["from sbom"]

    @pytest.mark.parametrize(
        ("component", "name", "version", "cpes"),
        [
            ({"name": " openssl ", "version": "1"}, "openssl", "1", []),
            ({"cpe": OPENSSL}, "openssl", "1.0.1f", [OPENSSL]),
            ({"cpes": [OPENSSL, OPENSSL]}, "openssl", "1.0.1f", [OPENSSL]),
            ({"cpe": "cpe:/a:openssl:openssl"}, "openssl", None, ["cpe:/a:openssl:openssl"]),
            ({"purl": "pkg:npm/%40babel/core@7.1.0"}, "core", "7.1.0", []),
            ({"name": "mine", "purl": "pkg:npm/core@7.1.0", "version": None}, "mine", "7.1.0", []),
        ],
    )
    def test_names_and_versions_follow_from_identifiers(self, analyst, shop, component, name, version, cpes):
        assert analyst.put(f"{shop}/inventory", json={"components": [component]}).status_code == 200
        (found,) = analyst.get(f"{shop}/components").json
        assert (found["name"], found["version"], found["cpes"]) == (name, version, cpes)

    @pytest.mark.parametrize(
        ("component", "place"),
        [
            ({"name": "x", "purl": "nonsense"}, "components.1.purl"),
            ({"name": "x", "cpe": "cpe:2.3:a:b"}, "components.1.cpe"),
            ({"name": "x", "cpes": [OPENSSL, "cpe:2.3:a:b"]}, "components.1.cpes.1"),
            ({"name": "x", "cpes": "cpe:/a:b:c"}, "components.1.cpes"),
            ({"name": "x", "cpes": [None]}, "components.1.cpes.0"),
            ({"name": "x", "licence": "MIT"}, "components.1.licence"),
            ({"name": 5}, "components.1.name"),
            ({"name": "x" * 2001}, "components.1.name"),
            ({"version": "1"}, "components.1.name"),
            ({"cpe": "cpe:2.3:a:*:*:*:*:*:*:*:*:*:*"}, "components.1.name"),
            ("openssl", "components.1"),
        ],
    )
    def test_what_is_wrong_is_named_and_changes_nothing(self, analyst, shop, component, place):
        analyst.put(f"{shop}/inventory", json={"components": [{"name": "former"}]})
        answer = analyst.put(f"{shop}/inventory", json={"components": [{"name": "ok"}, component]})
        assert answer.status_code == 422
        assert list(answer.json["errors"]) == [place]
        assert names_of(analyst, shop) == ["former"]

    def test_the_list_may_be_empty_but_not_missing(self, analyst, shop):
        analyst.put(f"{shop}/inventory", json={"components": [{"name": "former"}]})
        assert analyst.put(f"{shop}/inventory", json={}).status_code == 422
        assert analyst.put(f"{shop}/inventory", json={"components": None}).status_code == 422
        assert analyst.put(f"{shop}/inventory", json={"components": []}).status_code == 200
        assert names_of(analyst, shop) == []


def test_two_documents_at_once_leave_one_whole_inventory(app, analyst, shop, sessions):
    start = threading.Barrier(2)
    answers = []

    def put(prefix):
        caller = Caller(app.test_client(), analyst.token, analyst.user_id)
        body = cyclonedx(*(f"{prefix}{number}" for number in range(300)))
        start.wait()
        answers.append(caller.put(f"{shop}/sbom", data=body).status_code)

    threads = [threading.Thread(target=put, args=(prefix,)) for prefix in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200, 200]
    with database.reading(sessions) as session:
        names = list(session.scalars(sa.select(Component.name).order_by(Component.position)))
        sources = set(session.scalars(sa.select(Component.source)))
    assert len(names) == 300
    assert len({name[0] for name in names}) == 1
    assert sources == {InventorySource.SBOM}
