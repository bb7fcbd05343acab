"""CycloneDX 1.2 to 1.7 in XML, read as a stream of tags: no tree is built.

A document type declaration is refused wherever it comes, so no entity is ever declared or fetched.
What counts as a component is said in `shared.sbom.cyclonedx_json`.
"""

import re
from array import array
from typing import Any, Final
from xml.etree.ElementTree import ParseError  # The exception only: parsing is defusedxml's.

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import XMLParser

from shared.sbom.builder import Builder
from shared.sbom.cyclonedx_json import CPE_PROPERTIES, VERSIONS
from shared.sbom.model import Component, Document, Format, Limits, SbomError
from shared.sbom.probe import Probe

_NAMESPACE: Final = "http://cyclonedx.org/schema/bom/"
_COMPONENT: Final = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?component[\s/>]")
_PIECE: Final = 1 << 18
# A single tag, attribute or comment may be so long: older parsers begin it anew with every piece.
_LONGEST_TOKEN: Final = 1 << 20
_STEPS_PER_ELEMENT: Final = 8
# Every name of a tag or an attribute stays in memory; the schema has some 200.
_MOST_NAMES: Final = 5_000
_PLAINER: Final = {
    "no element found": "it ends too early",
    "unclosed token": "it ends too early",
    "unclosed CDATA section": "it ends too early",
    "not well-formed (invalid token)": "there is a character that cannot stand here",
}
# Of one text so much is gathered, blanks included; far more than is kept.
_LONGEST_TEXT: Final = 1 << 16


def recognises(probe: Probe) -> bool:
    """Say whether this looks like XML, of whatever kind."""
    return probe.first == b"<"


def read(probe: Probe, limits: Limits) -> Document:
    """Read the components, nested ones included, in document order."""
    buffer = probe.buffer
    for count, _ in enumerate(_COMPONENT.finditer(buffer), 1):
        if count > 2 * limits.components:  # Components elsewhere, as in pedigrees, are not counted.
            Builder(limits).check_count("the document", count)
    parser = XMLParser(target=object(), encoding=probe.encoding, forbid_dtd=True)
    target = _Target(parser.parser, limits)
    try:
        for start in range(0, len(buffer), _PIECE):
            parser.feed(bytes(buffer[start : start + _PIECE]))
            if start + _PIECE - parser.parser.CurrentByteIndex > _LONGEST_TOKEN:
                raise SbomError(target.where(), "a single tag or comment is longer than 1 MB")
        parser.close()
    except SbomError:
        raise
    except DefusedXmlException:
        raise SbomError(
            target.where(), "it has a document type declaration (DTD), which is refused"
        ) from None
    except ParseError as error:
        line, column = error.position
        reason = str(error).partition(":")[0]
        reason = _PLAINER.get(reason, reason)
        raise SbomError(f"line {line}, column {column + 1}", f"the XML is malformed: {reason}") from None
    except (LookupError, ValueError) as error:
        raise SbomError(target.where(), f"the XML cannot be decoded: {error}") from None
    return target.document()


class _Frame:
    """A component whose elements are being gathered."""

    def __init__(self, where: str, depth: int, attributes: dict[str, str]) -> None:
        self.where = where
        self.depth = depth
        self.index = 0
        self.type = attributes.get("type")
        self.bom_ref = attributes.get("bom-ref")
        self.texts: dict[str, str] = {}
        self.cpes: list[str] = []
        self.licences: list[str] = []

    def component(self) -> Component:
        """Give what was gathered."""
        first = self.texts.get("cpe")
        return Component(
            name=self.texts.get("name", ""),
            version=self.texts.get("version"),
            group=self.texts.get("group"),
            purl=self.texts.get("purl"),
            cpes=(first, *self.cpes) if first else tuple(self.cpes),
            type=self.type,
            bom_ref=self.bom_ref,
            licences=tuple(self.licences),
        )


class _Target:
    """Receives the parser's events. Where an element stands is told by its depth below its component."""

    def __init__(self, parser: Any, limits: Limits) -> None:
        self.parser = parser
        # Set on the parser itself: the layer between costs as much as all the rest.
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.StartNamespaceDeclHandler = self.start_ns
        parser.CharacterDataHandler = self.data
        parser.DefaultHandlerExpand = None  # It is only told of comments and the like.
        parser.ordered_attributes = False
        self.builder = Builder(limits)
        self._path: list[str] = []
        self._frames: list[_Frame] = []
        self._opened = 0
        self._order = array("L")
        self._subject: Component | None = None
        self._version: str | None = None
        self._text: list[str] | None = None
        self._text_length = 0
        self._names: dict[str, str] = {}
        self._attributes: set[str] = set()
        self._steps, self._most_steps = 0, limits.steps
        self._deepest = 4 * limits.depth

    def where(self) -> str:
        """Say where the parser is."""
        return f"line {self.parser.CurrentLineNumber}"

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        self._steps += _STEPS_PER_ELEMENT + len(attributes)
        if self._steps > self._most_steps:
            self.builder.step(self.where(), self._steps)
        path = self._path
        local = self._names.get(tag)
        if local is None:
            local = self._new_name(tag)
        path.append(local)
        if attributes:
            self._attributes.update(attributes)
        frames = self._frames
        if len(path) > self._deepest or len(self._attributes) > _MOST_NAMES:
            raise SbomError(self.where(), "the elements are nested too deep or have too many attributes")
        self._text = None
        if local == "component":
            if self._is_component():
                self._open(attributes)
        elif frames and len(path) - frames[-1].depth <= 3 and self._is_wanted(attributes):
            self._text, self._text_length = [], 0

    def start_ns(self, prefix: str | None, _address: str | None) -> None:
        """A namespace is declared: on an element, but not told among its attributes."""
        self._steps += _STEPS_PER_ELEMENT
        self._attributes.add(f"xmlns:{prefix}")

    def end(self, _tag: str) -> None:
        """An element ends."""
        if self._frames:
            frame = self._frames[-1]
            if self._text is not None:
                self._keep(frame, "".join(self._text))
            elif len(self._path) == frame.depth:
                self._close(self._frames.pop())
        self._text = None
        self._path.pop()

    def data(self, data: str) -> None:
        """A piece of text comes."""
        self._steps += 1
        if self._text is not None and self._text_length <= _LONGEST_TEXT:
            self._text.append(data)
            self._text_length += len(data)

    def document(self) -> Document:
        """Give what was read, outer components before those nested in them."""
        components = self.builder.components
        order = sorted(range(len(components)), key=self._order.__getitem__)
        self.builder.components = [components[index] for index in order]
        name = self._subject.name if self._subject else None
        version = self._subject.version if self._subject else None
        return self.builder.document(Format.CYCLONEDX_XML, self._version or "", name, version)

    def _new_name(self, tag: str) -> str:
        """Give a tag's name; elements of other namespaces may have any name: none of ours."""
        namespace, _, local = tag.rpartition("}")
        if not self._path:
            self._version = _spec_version(local, namespace, self.where())
        if len(self._names) >= _MOST_NAMES:
            raise SbomError(self.where(), f"there are more than {_MOST_NAMES:,} different elements")
        name = self._names[tag] = local if namespace.startswith(_NAMESPACE) else ""
        return name

    def _is_component(self) -> bool:
        path = self._path
        if self._frames:
            return len(path) == self._frames[-1].depth + 2 and path[-2] == "components"
        return path[1:] in (["components", "component"], ["metadata", "component"])

    def _is_wanted(self, attributes: dict[str, str]) -> bool:
        match self._path[self._frames[-1].depth :]:
            case [("name" | "version" | "group" | "purl" | "cpe")]:
                return True
            case ["licenses", "expression"] | ["licenses", "license", ("id" | "name")]:
                return True
            case ["properties", "property"]:
                return attributes.get("name") in CPE_PROPERTIES
            case _:
                return False

    def _open(self, attributes: dict[str, str]) -> None:
        depth, place = len(self._path), self.where()
        self._frames.append(_Frame(place, depth, attributes))
        self.builder.check_depth(place, len(self._frames))
        self._opened += 1
        self.builder.check_count(place, self._opened)
        self._frames[-1].index = self._opened

    def _keep(self, frame: _Frame, text: str) -> None:
        match self._path[frame.depth]:
            case "licenses":
                frame.licences.append(text)
            case "properties":
                frame.cpes.append(text)
            case member:
                frame.texts.setdefault(member, text)

    def _close(self, frame: _Frame) -> None:
        if not self._frames and self._path[1] == "metadata":
            self._subject = frame.component()
            return
        before = len(self.builder.components)
        self.builder.add(frame.where, frame.component())
        if len(self.builder.components) > before:
            self._order.append(frame.index)


def _spec_version(local: str, namespace: str, where: str) -> str:
    if local == "RDF":
        raise SbomError(where, "the document is SPDX in RDF/XML, which is not read; send SPDX 2.3 in JSON")
    if not namespace.startswith(_NAMESPACE):
        raise SbomError(
            where, f"the document is XML, but not an SBOM: its outermost element is <{local[:100]}>"
        )
    version = namespace.removeprefix(_NAMESPACE)
    if version not in VERSIONS:
        raise SbomError(
            where,
            f"the document is CycloneDX of version {version[:100]}; {VERSIONS[0]} to {VERSIONS[-1]} are read",
        )
    return version
