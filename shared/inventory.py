"""An asset's inventory: the components of each source, replaced as a whole, read as the matcher wants them.

An asset is also filed under the products of its components, so that news about a product finds it.
"""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared.matching import identity
from shared.matching.certainty import Certainty
from shared.matching.component import Component
from shared.models import asset as models


def load(session: Session, asset_id: uuid.UUID, sources: Iterable[models.InventorySource]) -> list[Component]:
    """The components of some sources, in the order of their documents."""
    table = models.Component
    rows = session.execute(
        sa.select(
            table.name,
            table.version,
            table.purl,
            table.cpes,
            table.at_most,
            table.because,
            table.host,
            table.port,
        )
        .where(table.asset_id == asset_id, table.source.in_(list(sources)))
        .order_by(table.source, table.position)
    )
    return [
        Component(
            name=row.name,
            version=row.version or "",
            purl=row.purl,
            cpes=tuple(row.cpes),
            at_most=row.at_most or Certainty.CONFIRMED,
            because=row.because or "",
            host=row.host or "",
            port=row.port or "",
        )
        for row in rows
    ]


def replace(
    session: Session,
    asset_id: uuid.UUID,
    source: models.InventorySource,
    components: Sequence[dict[str, Any]],
) -> None:
    """Put `components` in the place of what the source had before.

    Each is `{name, version, vendor, type, purl, cpes}`; of a network scan also `{host, port, at_most, because}`.
    """
    table = models.Component
    session.execute(sa.delete(table).where(table.asset_id == asset_id, table.source == source))
    rows = [
        {"asset_id": asset_id, "source": source, "position": position, **component}
        for position, component in enumerate(components)
    ]
    if rows:
        session.execute(sa.insert(table), rows)
    file_under_products(session, asset_id)


def file_under_products(session: Session, asset_id: uuid.UUID) -> None:
    """Note which products the asset's components may be, by the present rules."""
    table = models.AssetProduct
    products = identity.product_keys(load(session, asset_id, models.InventorySource))
    session.execute(sa.delete(table).where(table.asset_id == asset_id))
    rows = [{"asset_id": asset_id, "product_key": product} for product in sorted(products)]
    if rows:
        session.execute(sa.insert(table), rows)
    asset = models.Asset
    session.execute(sa.update(asset).where(asset.id == asset_id).values(product_rules=identity.RULES))
