"""What reading an SBOM gives back, what it may cost, and the one way it fails."""

import enum
from dataclasses import dataclass, field

import msgspec


class SbomError(ValueError):
    """The document as a whole cannot be read. `where` is a place in it, `why` a reason for its sender."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")
        self.where = where
        self.why = why


class SbomTooLarge(SbomError):
    """The document, or what it unpacks to, is larger than a limit allows."""


class Format(enum.StrEnum):
    """The document formats that are read."""

    CYCLONEDX_JSON = "cyclonedx-json"
    CYCLONEDX_XML = "cyclonedx-xml"
    SPDX_JSON = "spdx-json"
    SPDX_TAG_VALUE = "spdx-tag-value"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document may cost. The defaults keep a hostile one under two seconds and 64 MB.

    The size limits are bytes. A packed document has its own, lower limit because what it unpacks to
    must be held beside it, and a ratio, because no real SBOM shrinks a hundredfold.
    """

    size: int = 64_000_000
    """The document as it arrives, packed or not."""
    unpacked: int = 48_000_000
    """What a gzip document, or one re-coded from UTF-16, may become."""
    ratio: int = 100
    """How many times its packed size a gzip document may become, looked at from 8 MB on."""
    components: int = 200_000
    """Components, nested ones included."""
    depth: int = 64
    """Components within components; XML elements may nest four times as deep (JSON ends near 1,000)."""
    text: int = 2_000
    """Characters of one name, version, purl, CPE or other text that is kept."""
    cpes: int = 500
    """CPE names of one component."""
    steps: int = 6_000_000
    """Small pieces: texts and brackets in JSON; elsewhere lines and tags, which weigh more."""
    skipped: int = 1_000
    """Entries in the list of what was skipped; the rest is counted in a last entry."""


DEFAULT = Limits()


class Component(msgspec.Struct, frozen=True, gc=False):
    """One piece of software as the document lists it.

    Texts are stripped and free of control characters, but not judged: an invalid purl or CPE is kept
    and also named under the document's `skipped`. (A struct and not a dataclass because 200,000 of them
    are made in a third of the time; it is immutable, compares by value and has slots all the same.)
    """

    name: str
    version: str | None = None
    group: str | None = None
    """CycloneDX only: the namespace of the name, such as a Maven group."""
    purl: str | None = None
    cpes: tuple[str, ...] = ()
    """Every CPE name given, in document order, each once; 2.2 and 2.3 bindings as written."""
    type: str | None = None
    """CycloneDX's word (library, application, operating-system, ...), None when the document says none."""
    bom_ref: str | None = None
    """What the document itself calls the component: CycloneDX `bom-ref`, SPDX identifier."""
    licences: tuple[str, ...] = ()
    """SPDX identifiers, expressions or free names, declared ones only."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something in the document that was left out or repaired, and why."""

    where: str
    why: str


@dataclass(frozen=True, slots=True)
class Document:
    """A read SBOM. `name` and `version` are those of the thing that it describes, if it says."""

    format: Format
    spec_version: str
    name: str | None
    version: str | None
    components: list[Component]
    skipped: list[Skipped] = field(default_factory=list)
