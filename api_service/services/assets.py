"""Assets and their inventory: what is watched, and what it consists of."""

import uuid
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from api_service.paging import Page, PageRequest, fetch
from api_service.services import search
from shared import database, hosts, inventory
from shared.errors import Conflict, NotFound
from shared.models.asset import Asset, AssetKind, Component, Criticality, Host, InventorySource
from shared.models.scan import OPEN_RUN, Run, Scan
from shared.nmap.report import Report
from shared.sbom import Document

MAX_TYPE = 64
"""Characters of a component's type that are kept."""


def create_asset(
    session: Session,
    *,
    name: str,
    kind: AssetKind,
    tags: Sequence[str] = (),
    criticality: Criticality = Criticality.MEDIUM,
    created_by: uuid.UUID | None = None,
) -> Asset:
    """Add an asset. Raises Conflict when the name is taken."""
    now = database.now(session)
    asset = Asset(
        id=uuid.uuid4(),
        name=name,
        kind=kind,
        tags=list(dict.fromkeys(tags)),
        criticality=criticality,
        created_by=created_by,
        created_at=now,
        updated_at=now,
    )
    try:
        with session.begin_nested():
            session.add(asset)
    except IntegrityError:
        raise _taken(name) from None
    return asset


def list_assets(
    session: Session,
    *,
    page: PageRequest,
    name: str | None = None,
    kind: AssetKind | None = None,
    tag: str | None = None,
    q: str | None = None,
) -> Page[Asset]:
    """Assets in the order of their names."""
    statement = sa.select(Asset).where(*search.conjunction((Asset.name, name), (Asset.kind, kind)))
    if tag is not None:
        statement = statement.where(search.has_item(session, Asset.tags, tag))
    if q is not None:
        statement = statement.where(search.contains(Asset.name, q))
    return fetch(session, statement.order_by(Asset.name, Asset.id), page)


def get_asset(session: Session, asset_id: uuid.UUID, *, lock: bool = False) -> Asset:
    """One asset, its row locked for this transaction if asked for. Raises NotFound."""
    asset = session.get(Asset, asset_id, with_for_update=True if lock else None)
    if asset is None:
        raise NotFound("There is no such asset.")
    return asset


def change_asset(session: Session, asset_id: uuid.UUID, changes: dict[str, Any]) -> Asset:
    """Change `name`, `kind`, `tags` or `criticality`. Raises NotFound, and Conflict when the name is taken."""
    asset = get_asset(session, asset_id, lock=True)
    if "tags" in changes:
        changes = {**changes, "tags": list(dict.fromkeys(changes["tags"]))}
    asset.updated_at = database.now(session)
    for field, value in changes.items():
        setattr(asset, field, value)
    try:
        session.flush()
    except IntegrityError:
        raise _taken(changes.get("name", "")) from None
    return asset


def delete_asset(session: Session, asset_id: uuid.UUID) -> None:
    """Delete an asset with everything that is about it: inventory, scans, runs, findings and their history.

    Raises NotFound, and Conflict while a run of one of its scans is under way.
    """
    asset = get_asset(session, asset_id, lock=True)
    # Locked, so that no run can begin between the look and the deletion.
    scans = session.scalars(sa.select(Scan.id).where(Scan.asset_id == asset.id).with_for_update()).all()
    under_way = sa.select(Run.id).where(Run.scan_id.in_(scans), Run.status.in_(OPEN_RUN))
    if session.scalar(under_way.limit(1)) is not None:
        raise Conflict("A scan of this asset is under way; cancel it first.")
    session.delete(asset)
    session.flush()


def put_sbom(session: Session, asset_id: uuid.UUID, document: Document, sha256: str) -> Asset:
    """Put an SBOM in the place of the asset's former one, its components in that of the former components.

    Raises NotFound.
    """
    asset = get_asset(session, asset_id, lock=True)
    components = [
        {
            "name": each.name,
            "version": each.version,
            "vendor": each.group,
            "type": each.type[:MAX_TYPE] if each.type else None,
            "purl": each.purl,
            "cpes": list(each.cpes),
        }
        for each in document.components
    ]
    inventory.replace(session, asset.id, InventorySource.SBOM, components)
    now = database.now(session)
    asset.document = {
        "format": document.format.value,
        "spec_version": document.spec_version,
        "name": document.name,
        "version": document.version,
        "sha256": sha256,
        "components": len(document.components),
        "skipped": len(document.skipped),
        "received_at": now.isoformat(),
    }
    asset.updated_at = now
    session.flush()
    return asset


def put_inventory(session: Session, asset_id: uuid.UUID, components: Sequence[dict[str, Any]]) -> None:
    """Put a list of components in the place of the asset's former list. Raises NotFound."""
    asset = get_asset(session, asset_id, lock=True)
    rows = [
        {
            "name": each["name"],
            "version": each["version"] or None,
            "vendor": None,
            "type": None,
            "purl": each["purl"],
            "cpes": list(each["cpes"]),
        }
        for each in components
    ]
    inventory.replace(session, asset.id, InventorySource.INVENTORY, rows)
    asset.updated_at = database.now(session)


def put_nmap(session: Session, asset_id: uuid.UUID, report: Report) -> tuple[hosts.Seen, int]:
    """Bring the asset's hosts to what a report of nmap says; what it changed, and how many components there are now.

    What the report did not look at, or what did not answer, stays. Raises NotFound.
    """
    asset = get_asset(session, asset_id, lock=True)
    seen = hosts.record(session, asset.id, report)
    asset.updated_at = database.now(session)
    of_networks = (Component.asset_id == asset.id, Component.source == InventorySource.NETWORK)
    return seen, session.scalar(sa.select(sa.func.count()).select_from(Component).where(*of_networks)) or 0


def list_hosts(session: Session, asset_id: uuid.UUID, *, page: PageRequest) -> Page[Host]:
    """The asset's hosts, those that were seen last first. Raises NotFound."""
    get_asset(session, asset_id)
    statement = sa.select(Host).where(Host.asset_id == asset_id)
    return fetch(session, statement.order_by(Host.last_seen_at.desc(), Host.address), page)


def forget_host(session: Session, asset_id: uuid.UUID, address: str) -> None:
    """Remove a host that is gone for good, with its components. Raises NotFound."""
    get_asset(session, asset_id, lock=True)
    if not hosts.forget(session, asset_id, address):
        raise NotFound("The asset has no such host.")


def list_components(
    session: Session,
    asset_id: uuid.UUID,
    *,
    page: PageRequest,
    source: InventorySource | None = None,
    q: str | None = None,
) -> Page[Component]:
    """The asset's components, source by source in the order they came. Raises NotFound."""
    get_asset(session, asset_id)
    statement = sa.select(Component).where(Component.asset_id == asset_id)
    statement = statement.where(*search.conjunction((Component.source, source)))
    if q is not None:
        statement = statement.where(
            sa.or_(*(search.contains(column, q) for column in (Component.name, Component.purl)))
        )
    return fetch(session, statement.order_by(Component.source, Component.position, Component.id), page)


def _taken(name: str) -> Conflict:
    return Conflict(f"There is another asset with the name {name!r}.")
