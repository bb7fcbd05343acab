"""Assets and their inventory on the wire."""

from typing import Any

from marshmallow import fields, validate

from api_service.schemas.base import EXAMPLE_TIME, Input, Output, PageQuery, identifier, moment, not_blank
from api_service.schemas.components import ComponentList
from api_service.schemas.scans import EXAMPLE_NETWORK
from shared.models.asset import AssetKind, Criticality, InventorySource
from shared.sbom import Format

MAX_TAGS = 50
MAX_COMPONENTS = 100_000


def _name(**kwargs: Any) -> fields.String:
    return fields.String(
        validate=not_blank(200),
        metadata={"description": "What to call it; no two assets have one name.", "example": "web shop"},
        **kwargs,
    )


def _kind(**kwargs: Any) -> fields.Enum[AssetKind]:
    return fields.Enum(
        AssetKind,
        by_value=fields.String,
        metadata={"description": "What it is.", "example": "application"},
        **kwargs,
    )


def _tags(**kwargs: Any) -> fields.List[str]:
    return fields.List(
        fields.String(validate=not_blank(100)),
        validate=validate.Length(max=MAX_TAGS),
        metadata={
            "description": "Words to find it by; each counts once.",
            "example": ["production", "team:shop"],
        },
        **kwargs,
    )


def _criticality(**kwargs: Any) -> fields.Enum[Criticality]:
    return fields.Enum(
        Criticality,
        by_value=fields.String,
        metadata={"description": "What its loss would mean.", "example": "high"},
        **kwargs,
    )


def _host() -> fields.String:
    return fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "The address of the host on which a network scan found it.",
            "example": None,
        },
    )


def _port() -> fields.String:
    return fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Where it answers there, such as `22/tcp`.", "example": None},
    )


class AssetCreate(Input):
    """An asset to watch."""

    name = _name(required=True)
    kind = _kind(required=True)
    tags = _tags(load_default=list)
    criticality = _criticality(load_default=Criticality.MEDIUM)


class AssetChange(Input):
    """What to change of an asset; what is left out stays."""

    name = _name()
    kind = _kind()
    tags = _tags()
    criticality = _criticality()


class AssetQuery(PageQuery):
    """Which assets."""

    name = fields.String(
        validate=validate.Length(1, 200), metadata={"description": "Only the one of exactly this name."}
    )
    kind = fields.Enum(AssetKind, by_value=fields.String, metadata={"description": "Only of this kind."})
    tag = fields.String(
        validate=validate.Length(1, 100), metadata={"description": "Only with exactly this tag."}
    )
    q = fields.String(
        validate=validate.Length(1, 200), metadata={"description": "Only with this text in the name."}
    )


class AssetSchema(Output):
    """A thing somebody owns and wants watched."""

    id = identifier(required=True)
    name = _name(required=True)
    kind = _kind(required=True)
    tags = _tags(required=True)
    criticality = _criticality(required=True)
    document = fields.Dict(
        required=True,
        allow_none=True,
        metadata={
            "description": "What its SBOM is; null while it has none.",
            "example": {
                "format": "cyclonedx-json",
                "spec_version": "1.6",
                "name": "web shop",
                "version": "4.2.0",
                "sha256": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
                "components": 903,
                "skipped": 0,
                "received_at": EXAMPLE_TIME,
            },
        },
    )
    created_by = identifier("Who added it; null when they are gone.", required=True, allow_none=True)
    created_at = moment("When it was added.", required=True)
    updated_at = moment("When it, or its inventory, last changed.", required=True)


class SkippedSchema(Output):
    """Something in a document that was left out or repaired."""

    where = fields.String(required=True, metadata={"description": "Its place.", "example": "components[17]"})
    why = fields.String(
        required=True,
        metadata={"description": "The reason.", "example": "the purl is kept but is not valid: pkg:x"},
    )


class SbomReadSchema(Output):
    """How an SBOM was read."""

    format = fields.Enum(
        Format,
        by_value=fields.String,
        required=True,
        metadata={"description": "Its format.", "example": "cyclonedx-json"},
    )
    spec_version = fields.String(
        required=True, metadata={"description": "The version of the format.", "example": "1.6"}
    )
    components = fields.Integer(
        required=True, metadata={"description": "How many components it has.", "example": 903}
    )
    skipped = fields.List(
        fields.Nested(SkippedSchema),
        required=True,
        metadata={"description": "What was left out or repaired; the first 100 remarks.", "example": []},
    )
    skipped_total = fields.Integer(
        required=True,
        metadata={
            "description": "How many remarks there are; of very many, the last one counts the rest.",
            "example": 0,
        },
    )


class InventoryInput(Input):
    """A list of components."""

    components = ComponentList(
        MAX_COMPONENTS,
        required=True,
        metadata={"description": "All of them: the list takes the place of the former one."},
    )


class InventoryReadSchema(Output):
    """How a list of components was read."""

    components = fields.Integer(
        required=True, metadata={"description": "How many components it has.", "example": 1}
    )


class NmapReadSchema(Output):
    """How a report of nmap was read."""

    nmap_version = fields.String(
        required=True, metadata={"description": "The version of nmap that wrote it.", "example": "7.95"}
    )
    components = fields.Integer(
        required=True,
        metadata={"description": "How many components the asset's network has now.", "example": 7},
    )
    network = fields.Dict(
        required=True,
        metadata={
            "description": "What it changed: hosts `up`, `down` and `unfinished`, ports `opened` and `closed`, and the first "
            "1,000 of each by name.",
            "example": EXAMPLE_NETWORK,
        },
    )


class PortSchema(Output):
    """A port that is or was open."""

    port = fields.String(required=True, metadata={"description": "Number and protocol.", "example": "22/tcp"})
    service = fields.String(
        required=True, allow_none=True, metadata={"description": "The protocol it speaks.", "example": "ssh"}
    )
    banner = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "What it says of itself.", "example": "OpenSSH 9.6p1 (protocol 2.0)"},
    )
    open = fields.Boolean(
        required=True, metadata={"description": "Whether it was open when last seen.", "example": True}
    )
    opened_at = fields.String(
        required=True,
        metadata={"description": "When a scan first found it open.", "example": EXAMPLE_TIME},
    )
    closed_at = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "When a scan found it closed.", "example": None},
    )


class HostSchema(Output):
    """A host of a network."""

    address = fields.String(
        required=True,
        metadata={"description": "By which it is known from scan to scan.", "example": "127.0.0.2"},
    )
    names = fields.List(
        fields.String(), required=True, metadata={"description": "Its names.", "example": ["db.example.org"]}
    )
    ports = fields.List(
        fields.Nested(PortSchema),
        required=True,
        metadata={"description": "Its ports that are or were open."},
    )
    first_seen_at = moment("When it first answered.", required=True)
    last_seen_at = moment("When it last answered.", required=True)


class ComponentQuery(PageQuery):
    """Which components."""

    source = fields.Enum(
        InventorySource, by_value=fields.String, metadata={"description": "Only from this source."}
    )
    q = fields.String(
        validate=validate.Length(1, 200),
        metadata={"description": "Only with this text in the name or the package URL."},
    )


class ComponentSchema(Output):
    """One piece of software of an asset."""

    source = fields.Enum(
        InventorySource,
        by_value=fields.String,
        required=True,
        metadata={"description": "Where it comes from.", "example": "sbom"},
    )
    position = fields.Integer(
        required=True, metadata={"description": "Its place in the source, from 0.", "example": 0}
    )
    name = fields.String(required=True, metadata={"description": "Its name.", "example": "openssl"})
    version = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Its version, if known.", "example": "1.0.1f"},
    )
    vendor = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Group or vendor, if the source says.", "example": None},
    )
    type = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The source's word for what it is.", "example": "library"},
    )
    purl = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Its package URL, if any.", "example": "pkg:generic/openssl@1.0.1f"},
    )
    cpes = fields.List(
        fields.String(),
        required=True,
        metadata={
            "description": "Its CPE names.",
            "example": ["cpe:2.3:a:openssl:openssl:1.0.1f:*:*:*:*:*:*:*"],
        },
    )
    host = _host()
    port = _port()
