"""CycloneDX 1.2 to 1.7 in JSON.

The component under `metadata` is what the document describes: it names the document and is not itself
counted among the components, but the parts nested in it are.
"""

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Raw

from shared.sbom import elements
from shared.sbom.builder import Builder
from shared.sbom.elements import ABSENT, Envelope
from shared.sbom.model import Component, Document, Format, Limits, SbomError
from shared.sbom.probe import Probe

VERSIONS: Final = ("1.2", "1.3", "1.4", "1.5", "1.6", "1.7")
CPE_PROPERTIES: Final = frozenset({"syft:cpe23"})
"""Properties in which tools put the CPE names for which CycloneDX has no room."""


# What is nested is walked again at each level, which would cost a long text at the bottom dearly.
_BYTES_PER_STEP: Final = 16


class _Licence(msgspec.Struct):
    id: str | None = None
    name: str | None = None


class _LicenceChoice(msgspec.Struct):
    license: _Licence | None = None
    expression: str | None = None


class _Property(msgspec.Struct):
    name: str | None = None
    value: str | None = None


class _Strict(msgspec.Struct, rename={"bom_ref": "bom-ref"}):
    """A component that keeps to its schema, as nearly all do."""

    name: str = ""
    version: str | None = None
    group: str | None = None
    purl: str | None = None
    cpe: str | None = None
    type: str | None = None
    bom_ref: str | None = None
    licenses: list[_LicenceChoice] | None = None
    properties: list[_Property] | None = None


class _Loose(msgspec.Struct, rename={"bom_ref": "bom-ref"}):
    """A component of which each member is looked at alone."""

    name: Raw = ABSENT
    version: Raw = ABSENT
    group: Raw = ABSENT
    purl: Raw = ABSENT
    cpe: Raw = ABSENT
    type: Raw = ABSENT
    bom_ref: Raw = ABSENT
    licenses: Raw = ABSENT
    properties: Raw = ABSENT


class _Nested(msgspec.Struct):
    components: Raw = ABSENT


class _Metadata(msgspec.Struct):
    component: Raw = ABSENT


_STRICT: Final = msgspec.json.Decoder(_Strict)
_LOOSE: Final = msgspec.json.Decoder(_Loose)
_NESTED: Final = msgspec.json.Decoder(_Nested)


def recognises(probe: Probe) -> bool:
    """Say whether this is CycloneDX, of whatever version."""
    found = probe.json
    return found is not None and (found.bom_format is not ABSENT or found.spec_version is not ABSENT)


def read(probe: Probe, limits: Limits) -> Document:
    """Read the components, nested ones included, in document order."""
    document = probe.json or Envelope()
    version = _spec_version(document)
    elements.check_list(document.components, "components")
    counting = Builder(limits)
    for raw in (document.metadata, document.components):
        elements.count(raw, _all(document, counting), counting)
    builder = Builder(limits)
    for where, view in _all(document, builder):
        component = _component(where, view, builder)
        if component is not None:
            builder.add(where, component)
    subject = _subject(document, builder)
    name, described = (subject.name, subject.version) if subject else (None, None)
    return builder.document(Format.CYCLONEDX_JSON, version, name, described)


def _spec_version(document: Envelope) -> str:
    try:
        version = elements.text(document.spec_version, 100)
    except elements.UnusableError as error:
        raise SbomError("specVersion", f"it {error}") from None
    if version not in VERSIONS:
        found = f"version {version}" if version else "a version that it does not say"
        raise SbomError(
            "specVersion", f"the document is CycloneDX of {found}; {VERSIONS[0]} to {VERSIONS[-1]} are read"
        )
    return version


def _all(document: Envelope, builder: Builder) -> Iterator[tuple[str, memoryview]]:
    metadata = elements.members(document.metadata, _Metadata)
    if metadata is not None:
        subject = elements.members(metadata.component, _Nested)
        if subject is not None:
            yield from _tree(subject.components, "metadata.component.components", builder, 1)
    yield from _tree(document.components, "components", builder, 1)


def _tree(raw: Raw, where: str, builder: Builder, depth: int) -> Iterator[tuple[str, memoryview]]:
    for path, view in elements.objects(raw, where, builder):
        builder.check_depth(path, depth)
        yield path, view
        if view[0] == ord("{"):
            nested = _NESTED.decode(view).components
            if nested is not ABSENT:
                builder.step(path, len(memoryview(nested)) // _BYTES_PER_STEP)
                yield from _tree(nested, f"{path}.components", builder, depth + 1)


def _subject(document: Envelope, builder: Builder) -> Component | None:
    metadata = elements.members(document.metadata, _Metadata)
    if metadata is None or metadata.component is ABSENT:
        return None
    return _component("metadata.component", memoryview(metadata.component), builder)


def _component(where: str, view: memoryview, builder: Builder) -> Component | None:
    if len(view) < elements.LARGE:
        try:
            return _from_strict(_STRICT.decode(view))
        except msgspec.ValidationError:
            pass
    try:
        loose = _LOOSE.decode(view)
    except msgspec.ValidationError:
        builder.leave_out(where, f"it is {elements.kind_of(view)}, not a component")
        return None
    return _from_loose(where, loose, builder)


def _from_strict(strict: _Strict) -> Component:
    return Component(
        name=strict.name,
        version=strict.version,
        group=strict.group,
        purl=strict.purl,
        cpes=_cpes(strict.cpe, strict.properties or ()),
        type=strict.type,
        bom_ref=strict.bom_ref,
        licences=_licences(strict.licenses) if strict.licenses else (),
    )


def _from_loose(where: str, loose: _Loose, builder: Builder) -> Component | None:
    members = elements.Members(where, builder)
    try:
        name, version = members.needed(loose.name), members.needed(loose.version)
    except elements.UnusableError as error:
        builder.leave_out(where, f"its name or version {error}")
        return None
    return Component(
        name=name or "",
        version=version,
        group=members.text("group", loose.group),
        purl=members.text("purl", loose.purl),
        cpes=_cpes(
            members.text("cpe", loose.cpe), members.entries("properties", loose.properties, _Property)
        ),
        type=members.text("type", loose.type),
        bom_ref=members.text("bom-ref", loose.bom_ref),
        licences=_licences(members.entries("licenses", loose.licenses, _LicenceChoice)),
    )


def _cpes(first: str | None, properties: list[_Property] | tuple[()]) -> tuple[str, ...]:
    found = [first] if first else []
    found.extend(entry.value for entry in properties if entry.name in CPE_PROPERTIES and entry.value)
    return tuple(found)


def _licences(choices: list[_LicenceChoice]) -> tuple[str, ...]:
    found = []
    for choice in choices:
        if choice.expression:
            found.append(choice.expression)
        elif choice.license is not None and (named := choice.license.id or choice.license.name):
            found.append(named)
    return tuple(found)
