"""Assets and their inventory."""

import uuid
from collections.abc import Sequence
from typing import Any, BinaryIO, cast

from flask import Response, request
from werkzeug.exceptions import UnsupportedMediaType

from api_service.auth import principal
from api_service.blueprint import PREFIX, Blueprint
from api_service.context import sessions, settings
from api_service.idempotency import Answer, once
from api_service.paging import Page
from api_service.schemas.assets import (
    AssetChange,
    AssetCreate,
    AssetQuery,
    AssetSchema,
    ComponentQuery,
    ComponentSchema,
    HostSchema,
    InventoryInput,
    InventoryReadSchema,
    NmapReadSchema,
    SbomReadSchema,
)
from api_service.schemas.base import PageQuery
from api_service.services import assets, documents
from shared import database
from shared.errors import Conflict
from shared.models.asset import Asset, Component, Host
from shared.models.user import Role

blueprint = Blueprint("assets", "What is watched, and what it consists of.")

SHOWN = 100
"""Remarks on a document that are answered; all are counted."""
SBOM_TYPES = (
    "application/json",
    "application/vnd.cyclonedx+json",
    "application/vnd.cyclonedx+xml",
    "application/spdx+json",
    "application/xml",
    "text/xml",
    "text/spdx",
    "text/plain",
    "application/gzip",
    "application/octet-stream",
)
"""What an SBOM may be sent as; which format it is, the document itself says."""
_JSON_EXAMPLE = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "components": [
        {
            "type": "library",
            "name": "openssl",
            "version": "1.0.1f",
            "cpe": "cpe:2.3:a:openssl:openssl:1.0.1f:*:*:*:*:*:*:*",
        }
    ],
}
_XML_EXAMPLE = """\
<?xml version="1.0" encoding="UTF-8"?>
<bom xmlns="http://cyclonedx.org/schema/bom/1.6" version="1">
  <components>
    <component type="library">
      <name>openssl</name>
      <version>1.0.1f</version>
      <cpe>cpe:2.3:a:openssl:openssl:1.0.1f:*:*:*:*:*:*:*</cpe>
    </component>
  </components>
</bom>
"""
_SPDX_EXAMPLE = """\
SPDXVersion: SPDX-2.3
DataLicense: CC0-1.0
SPDXID: SPDXRef-DOCUMENT
DocumentName: web shop
PackageName: openssl
SPDXID: SPDXRef-openssl
PackageVersion: 1.0.1f
ExternalRef: SECURITY cpe23Type cpe:2.3:a:openssl:openssl:1.0.1f:*:*:*:*:*:*:*
"""
_SBOM_BODY = {
    "required": True,
    "description": "The document as it is, or packed with gzip (with or without `Content-Encoding: gzip`), sent as "
    + ", ".join(f"`{name}`" for name in SBOM_TYPES)
    + ".",
    "content": {
        "application/json": {"schema": {"type": "object"}, "example": _JSON_EXAMPLE},
        "application/vnd.cyclonedx+xml": {"schema": {"type": "string"}, "example": _XML_EXAMPLE},
        "text/spdx": {"schema": {"type": "string"}, "example": _SPDX_EXAMPLE},
        "application/octet-stream": {
            "schema": {"type": "string", "format": "binary"},
            "example": _SPDX_EXAMPLE,
        },
    },
}
NMAP_TYPES = ("application/xml", "text/xml", "application/gzip", "application/octet-stream")
"""What a report of nmap may be sent as."""
_NMAP_EXAMPLE = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE nmaprun>
<nmaprun scanner="nmap" args="nmap -sV -oX - 127.0.0.2" version="7.95" xmloutputversion="1.05">
  <scaninfo type="connect" protocol="tcp" numservices="2" services="22,80"/>
  <host>
    <status state="up" reason="conn-refused"/>
    <address addr="127.0.0.2" addrtype="ipv4"/>
    <ports>
      <port protocol="tcp" portid="22">
        <state state="open" reason="syn-ack"/>
        <service name="ssh" product="OpenSSH" version="9.6p1" method="probed" conf="10">
          <cpe>cpe:/a:openbsd:openssh:9.6p1</cpe>
        </service>
      </port>
      <port protocol="tcp" portid="80"><state state="closed" reason="conn-refused"/></port>
    </ports>
  </host>
  <runstats><finished exit="success"/></runstats>
</nmaprun>
"""
_NMAP_BODY = {
    "required": True,
    "description": "The report as it is, or packed with gzip, sent as "
    + ", ".join(f"`{name}`" for name in NMAP_TYPES)
    + ".",
    "content": {
        "application/xml": {"schema": {"type": "string"}, "example": _NMAP_EXAMPLE},
        "application/octet-stream": {
            "schema": {"type": "string", "format": "binary"},
            "example": _NMAP_EXAMPLE,
        },
    },
}
_DOCUMENT_ERRORS = {status: f"Problem{status}" for status in (400, 413, 415, 422)}


@blueprint.operation("POST", "/assets", role=Role.ANALYST, raises=(Conflict,), idempotent=True)
@blueprint.arguments(AssetCreate)
@blueprint.response(201, AssetSchema, headers={"Location": "LOCATION"})
def create_asset(body: dict[str, Any]) -> Response:
    """Add an asset."""
    with database.transaction(sessions()) as session:

        def act() -> Answer:
            asset = assets.create_asset(session, **body, created_by=principal().user_id)
            return Answer(AssetSchema().dump(asset), 201, f"{PREFIX}/assets/{asset.id}")

        return once(session, act)


@blueprint.operation("GET", "/assets", role=Role.VIEWER)
@blueprint.arguments(AssetQuery, location="query")
@blueprint.page(AssetSchema)
def list_assets(query: dict[str, Any]) -> Page[Asset]:
    """List assets.

    In the order of their names.
    """
    with database.reading(sessions()) as session:
        return assets.list_assets(session, **query)


@blueprint.operation("GET", "/assets/<uuid:asset_id>", role=Role.VIEWER)
@blueprint.response(200, AssetSchema)
def get_asset(asset_id: uuid.UUID) -> Asset:
    """Show an asset."""
    with database.reading(sessions()) as session:
        return assets.get_asset(session, asset_id)


@blueprint.operation("PATCH", "/assets/<uuid:asset_id>", role=Role.ANALYST, raises=(Conflict,))
@blueprint.arguments(AssetChange)
@blueprint.response(200, AssetSchema)
def change_asset(body: dict[str, Any], asset_id: uuid.UUID) -> Asset:
    """Change an asset."""
    with database.transaction(sessions()) as session:
        return assets.change_asset(session, asset_id, body)


@blueprint.operation("DELETE", "/assets/<uuid:asset_id>", role=Role.ADMIN, raises=(Conflict,))
@blueprint.response(204)
def delete_asset(asset_id: uuid.UUID) -> None:
    """Delete an asset.

    With its inventory, its scans and runs, its findings and their history. Refused while one of its scans is under way.
    """
    with database.transaction(sessions()) as session:
        assets.delete_asset(session, asset_id)


@blueprint.operation("PUT", "/assets/<uuid:asset_id>/sbom", role=Role.ANALYST, body_limit=None)
@blueprint.response(200, SbomReadSchema)
@blueprint.doc(requestBody=_SBOM_BODY, responses=_DOCUMENT_ERRORS)
def put_sbom(asset_id: uuid.UUID) -> dict[str, Any]:
    """Put an asset's SBOM.

    CycloneDX (1.2 to 1.6, JSON and XML) or SPDX (2.2 and 2.3, JSON and tag-value), recognised by its content. Its
    components take the place of those of the former SBOM. A document that cannot be read answers where and why under
    `errors`, and changes nothing.
    """
    stream = _document_stream(SBOM_TYPES)
    with database.reading(sessions()) as session:
        assets.get_asset(session, asset_id)  # before the work of reading
    document, sha256 = documents.read(stream, settings().max_document_bytes)
    with database.transaction(sessions()) as session:
        assets.put_sbom(session, asset_id, document, sha256)
    return {
        "format": document.format,
        "spec_version": document.spec_version,
        "components": len(document.components),
        "skipped": document.skipped[:SHOWN],
        "skipped_total": len(document.skipped),
    }


def _document_stream(types: Sequence[str]) -> BinaryIO:
    """The body, of which not more than the limit can be read."""
    if request.mimetype and request.mimetype not in types:
        raise UnsupportedMediaType(f"Send it as one of {', '.join(types)}.")
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise UnsupportedMediaType("Send it plain or packed with gzip.")
    return cast(BinaryIO, request.stream)


@blueprint.operation("PUT", "/assets/<uuid:asset_id>/nmap", role=Role.ANALYST, body_limit=None)
@blueprint.response(200, NmapReadSchema)
@blueprint.doc(requestBody=_NMAP_BODY, responses=_DOCUMENT_ERRORS)
def put_nmap(asset_id: uuid.UUID) -> dict[str, Any]:
    """Put a report of nmap.

    The XML of `nmap -sV -oX`, finished. What it observed takes the place of what was known of the same hosts and ports; a
    scan matches it, of the scanner `network` one without targets. A report that cannot be read answers where and why under
    `errors`, and changes nothing.
    """
    stream = _document_stream(NMAP_TYPES)
    with database.reading(sessions()) as session:
        assets.get_asset(session, asset_id)  # before the work of reading
    report = documents.read_nmap(stream, settings().max_document_bytes)
    with database.transaction(sessions()) as session:
        seen, components = assets.put_nmap(session, asset_id, report)
    return {"nmap_version": report.version, "components": components, "network": seen.document()}


@blueprint.operation("GET", "/assets/<uuid:asset_id>/hosts", role=Role.VIEWER)
@blueprint.arguments(PageQuery, location="query")
@blueprint.page(HostSchema)
def list_hosts(query: dict[str, Any], asset_id: uuid.UUID) -> Page[Host]:
    """List a network's hosts.

    With their ports, those that answered last first.
    """
    with database.reading(sessions()) as session:
        return assets.list_hosts(session, asset_id, **query)


@blueprint.operation("DELETE", "/assets/<uuid:asset_id>/hosts/<address>", role=Role.ANALYST)
@blueprint.response(204)
def forget_host(asset_id: uuid.UUID, address: str) -> None:
    """Forget a host.

    One that is gone for good: a host that only does not answer keeps its components, and so its findings. They close with
    the next run.
    """
    with database.transaction(sessions()) as session:
        assets.forget_host(session, asset_id, address)


@blueprint.operation("PUT", "/assets/<uuid:asset_id>/inventory", role=Role.ANALYST, body_limit=None)
@blueprint.arguments(InventoryInput)
@blueprint.response(200, InventoryReadSchema)
def put_inventory(body: dict[str, Any], asset_id: uuid.UUID) -> dict[str, int]:
    """Put an asset's list of components.

    It takes the place of the former list; components of the SBOM stay. A package URL or CPE name that cannot be read
    answers its place under `errors`, and nothing changes.
    """
    components = body["components"]
    with database.transaction(sessions()) as session:
        assets.put_inventory(session, asset_id, components)
    return {"components": len(components)}


@blueprint.operation("GET", "/assets/<uuid:asset_id>/components", role=Role.VIEWER)
@blueprint.arguments(ComponentQuery, location="query")
@blueprint.page(ComponentSchema)
def list_components(query: dict[str, Any], asset_id: uuid.UUID) -> Page[Component]:
    """List an asset's components.

    Source by source, in the order they came.
    """
    with database.reading(sessions()) as session:
        return assets.list_components(session, asset_id, **query)
