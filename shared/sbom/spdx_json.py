"""SPDX 2.2 and 2.3 in JSON. What counts as a component is said in `shared.sbom.spdx`."""

import re
from typing import Final

import msgspec
from msgspec import Raw

from shared.sbom import elements, spdx
from shared.sbom.builder import Builder
from shared.sbom.elements import ABSENT, Envelope
from shared.sbom.model import Component, Document, Format, Limits, SbomError
from shared.sbom.probe import Probe

# Relationships are many and nearly all of no interest: only those that describe are looked at.
_DESCRIBES: Final = re.compile(rb'"DESCRIBE(?:S|D_BY)"')
_NEIGHBOURHOOD: Final = 2_000
_MOST_DESCRIBED: Final = 1_000


class _Reference(msgspec.Struct, rename="camel"):
    reference_type: str
    reference_locator: str


class _Strict(msgspec.Struct, rename="camel"):
    """A package that keeps to its schema, as nearly all do."""

    name: str = ""
    identifier: str | None = msgspec.field(default=None, name="SPDXID")
    version_info: str | None = None
    license_declared: str | None = None
    license_concluded: str | None = None
    primary_package_purpose: str | None = None
    external_refs: list[_Reference] | None = None


class _Loose(msgspec.Struct, rename="camel"):
    """A package of which each member is looked at alone."""

    name: Raw = ABSENT
    identifier: Raw = msgspec.field(default=ABSENT, name="SPDXID")
    version_info: Raw = ABSENT
    license_declared: Raw = ABSENT
    license_concluded: Raw = ABSENT
    primary_package_purpose: Raw = ABSENT
    external_refs: Raw = ABSENT


class _Relationship(msgspec.Struct, rename="camel"):
    spdx_element_id: str
    related_spdx_element: str
    relationship_type: str


_STRICT: Final = msgspec.json.Decoder(_Strict)
_LOOSE: Final = msgspec.json.Decoder(_Loose)
_RELATIONSHIP: Final = msgspec.json.Decoder(_Relationship)


def recognises(probe: Probe) -> bool:
    """Say whether this is SPDX, of whatever version."""
    found = probe.json
    return found is not None and (
        found.spdx_version is not ABSENT or b"spdx.org/rdf" in bytes(memoryview(found.context)[:2_000])
    )


def read(probe: Probe, limits: Limits) -> Document:
    """Read the packages in document order."""
    document = probe.json or Envelope()
    builder = Builder(limits)
    version = _spec_version(document)
    elements.check_list(document.packages, "packages")
    counting = Builder(limits)
    elements.count(document.packages, elements.objects(document.packages, "packages", counting), counting)
    for where, view in elements.objects(document.packages, "packages", builder):
        component = _package(where, view, builder)
        if component is not None:
            builder.add(where, component)
    title = elements.Members("the document", builder).text("name", document.name)
    name, described_version = spdx.subject(_described(document, builder), builder.components, title)
    return builder.document(Format.SPDX_JSON, version, name, described_version)


def _spec_version(document: Envelope) -> str:
    if document.spdx_version is ABSENT:
        raise SbomError("@context", "the document is SPDX 3, of which nothing is read yet; send SPDX 2.3")
    try:
        version = elements.text(document.spdx_version, 100)
    except elements.UnusableError as error:
        raise SbomError("spdxVersion", f"it {error}") from None
    return spdx.check_version("spdxVersion", version)


def _package(where: str, view: memoryview, builder: Builder) -> Component | None:
    if len(view) < elements.LARGE:
        try:
            strict = _STRICT.decode(view)
        except msgspec.ValidationError:
            pass
        else:
            return _from_strict(where, strict, builder)
    try:
        loose = _LOOSE.decode(view)
    except msgspec.ValidationError:
        builder.leave_out(where, f"it is {elements.kind_of(view)}, not a package")
        return None
    return _from_loose(where, loose, builder)


def _from_strict(where: str, strict: _Strict, builder: Builder) -> Component:
    return spdx.component(
        name=strict.name,
        version=strict.version_info,
        identifiers=_identifiers(where, strict.external_refs or [], builder),
        purpose=strict.primary_package_purpose,
        identifier=strict.identifier,
        licences=(strict.license_declared, strict.license_concluded),
    )


def _from_loose(where: str, loose: _Loose, builder: Builder) -> Component | None:
    members = elements.Members(where, builder)
    try:
        name, version = members.needed(loose.name), members.needed(loose.version_info)
    except elements.UnusableError as error:
        builder.leave_out(where, f"its name or version {error}")
        return None
    return spdx.component(
        name=name,
        version=version,
        identifiers=_identifiers(
            where, members.entries("externalRefs", loose.external_refs, _Reference), builder
        ),
        purpose=members.text("primaryPackagePurpose", loose.primary_package_purpose),
        identifier=members.text("SPDXID", loose.identifier),
        licences=(
            members.text("licenseDeclared", loose.license_declared),
            members.text("licenseConcluded", loose.license_concluded),
        ),
    )


def _identifiers(where: str, references: list[_Reference], builder: Builder) -> spdx.Identifiers:
    identifiers = spdx.Identifiers(builder.limits)
    for reference in references:
        identifiers.take(reference.reference_type, reference.reference_locator)
    identifiers.report(where, builder)
    return identifiers


def _described(document: Envelope, builder: Builder) -> set[str]:
    """Find the identifiers of the described packages, as far as that is cheap: they only give a name."""
    found: set[str] = set()
    listed = memoryview(document.document_describes)
    if len(listed) < elements.LARGE:
        try:
            found.update(msgspec.json.decode(listed, type=list[str] | None) or ())
        except msgspec.ValidationError:
            builder.skip("documentDescribes", "it is not a list of texts")
    view = memoryview(document.relationships)
    for count, mark in enumerate(_DESCRIBES.finditer(view)):
        if count >= _MOST_DESCRIBED:
            break
        before = bytes(view[max(0, mark.start() - _NEIGHBOURHOOD) : mark.start()])
        after = bytes(view[mark.start() : mark.start() + _NEIGHBOURHOOD])
        start, end = before.rfind(b"{"), after.find(b"}")
        if start >= 0 and end >= 0:
            found.update(_target(before[start:] + after[: end + 1]))
    return found


def _target(relationship: bytes) -> tuple[str, ...]:
    try:
        found = _RELATIONSHIP.decode(relationship)
    except (msgspec.DecodeError, RecursionError):
        return ()
    ends = (found.spdx_element_id, found.related_spdx_element)
    return tuple(end for end in ends if end != "SPDXRef-DOCUMENT")
