"""Assets and the components of their current inventory."""

import datetime as dt
import enum
import uuid

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from shared.matching.certainty import Certainty
from shared.models.base import Base, Document, enum_column


class AssetKind(enum.StrEnum):
    """What is watched."""

    APPLICATION = "application"
    IMAGE = "image"
    HOST = "host"
    NETWORK = "network"


class Criticality(enum.StrEnum):
    """What its loss would mean to the owner."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class InventorySource(enum.StrEnum):
    """Where components come from. Each source replaces only its own; matching looks at the asset's whole set."""

    SBOM = "sbom"
    INVENTORY = "inventory"
    NETWORK = "network"


class Asset(Base):
    """A thing somebody owns and wants watched."""

    __tablename__ = "asset"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    name: Mapped[str] = mapped_column(sa.String(200), unique=True)
    kind: Mapped[AssetKind] = mapped_column(enum_column(AssetKind))
    tags: Mapped[list[str]]
    criticality: Mapped[Criticality] = mapped_column(enum_column(Criticality), default=Criticality.MEDIUM)
    document: Mapped[Document | None]
    """What the last SBOM was: `{format, spec_version, name, version, sha256, components, skipped, received_at}`."""
    product_rules: Mapped[int | None]
    """The rules (`shared.matching.identity.RULES`) by which it is filed under its products; None: it is not yet."""
    created_by: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("user.id", ondelete="SET NULL"))
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class Component(Base):
    """One piece of software in an asset's current inventory."""

    __tablename__ = "component"
    __table_args__ = (sa.Index("ix_component_asset_id", "asset_id", "source", "position"),)

    id: Mapped[int] = mapped_column(sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)
    asset_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("asset.id", ondelete="CASCADE"))
    source: Mapped[InventorySource] = mapped_column(enum_column(InventorySource))
    position: Mapped[int]
    """Order in the document or list."""
    name: Mapped[str] = mapped_column(sa.Text)
    version: Mapped[str | None] = mapped_column(sa.Text)
    vendor: Mapped[str | None] = mapped_column(sa.Text)
    """Group, supplier or vendor, as the document calls it."""
    type: Mapped[str | None] = mapped_column(sa.String(64))
    purl: Mapped[str | None] = mapped_column(sa.Text)
    cpes: Mapped[list[str]]
    host: Mapped[str | None] = mapped_column(sa.String(64))
    """The address of the host on which a network scan found it."""
    port: Mapped[str | None] = mapped_column(sa.String(16))
    """Where it answers on that host: `22/tcp`."""
    at_most: Mapped[Certainty | None] = mapped_column(enum_column(Certainty))
    """The most that may be concluded from it; None: no limit."""
    because: Mapped[str | None] = mapped_column(sa.Text)
    """Why no more may be concluded."""


class Host(Base):
    """A host of a network, as the scans that it answered saw it. Its software is among the asset's components."""

    __tablename__ = "host"
    __table_args__ = (sa.UniqueConstraint("asset_id", "address"),)

    id: Mapped[int] = mapped_column(sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)
    asset_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("asset.id", ondelete="CASCADE"))
    address: Mapped[str] = mapped_column(sa.String(64))
    """Its identity over all scans, in the normal form."""
    names: Mapped[list[str]]
    ports: Mapped[list[Document]]
    """Ports that are or were open: `{port, service, banner, open, opened_at, closed_at}`, by protocol and number."""
    first_seen_at: Mapped[dt.datetime]
    last_seen_at: Mapped[dt.datetime]


class AssetProduct(Base):
    """An asset holds a component that is looked up under this product: which assets does a change of the mirror concern?"""

    __tablename__ = "asset_product"
    __table_args__ = (sa.Index("ix_asset_product_asset_id", "asset_id"),)

    product_key: Mapped[str] = mapped_column(sa.Text, primary_key=True)
    asset_id: Mapped[uuid.UUID] = mapped_column(
        sa.ForeignKey("asset.id", ondelete="CASCADE"), primary_key=True
    )
