"""SPDX 2.2 and 2.3 as tags and values. What counts as a component is said in `shared.sbom.spdx`.

One expression jumps from one line of interest to the next; texts between <text> and </text> are jumped
over whole, so that a line in a licence that looks like a tag is none.
"""

import re
from typing import Final

from shared.sbom import spdx
from shared.sbom.builder import Builder
from shared.sbom.model import Document, Format, Limits, SbomError
from shared.sbom.probe import Probe
from shared.sbom.source import Buffer, check_utf8, line_at

_TAGS: Final = (
    rb"SPDXVersion|DocumentName|PackageName|SPDXID|PackageVersion|PackageLicenseDeclared|PackageLicenseConcluded"
    rb"|PrimaryPackagePurpose|ExternalRef|FileName|SnippetSPDXID|LicenseID|Relationship"
)
_LINE: Final = re.compile(
    rb"^(?P<tag>" + _TAGS + rb"):[ \t]*+(?P<value><text>.*?(?:</text>|\Z)|[^\r\n]*+)|<text>.*?(?:</text>|\Z)",
    re.MULTILINE | re.DOTALL,
)
_HEAD: Final = re.compile(rb"^SPDXVersion:", re.MULTILINE)
_HEAD_WITHIN: Final = 64 * 1024
_PACKAGE: Final = re.compile(rb"^PackageName:", re.MULTILINE)


def recognises(probe: Probe) -> bool:
    """Say whether the text has a line with an SPDX version near its beginning."""
    return _HEAD.search(probe.buffer, 0, _HEAD_WITHIN) is not None


class _Package:
    """A package whose lines are being gathered."""

    def __init__(self, where: str, name: str | None) -> None:
        self.where = where
        self.name = name
        self.first: dict[str, str] = {}
        self.identifiers = spdx.Identifiers()


class _Reader:
    """Goes through the lines of interest and remembers what they are about."""

    def __init__(self, buffer: Buffer, limits: Limits) -> None:
        self.buffer = buffer
        self.builder = Builder(limits)
        self.version: str | None = None
        self.title: str | None = None
        self.described: set[str] = set()
        self._package: _Package | None = None
        self._counted_to, self._lines = 0, 1

    def take(self, tag: str, value: bytes, offset: int) -> None:
        """Take one line."""
        if tag == "PackageName":
            self.close()
            self._package = _Package(self._line(offset), self._text(value))
        elif tag in ("FileName", "SnippetSPDXID", "LicenseID"):
            self.close()
        elif tag == "Relationship":
            self._relationship(value)
        elif tag == "SPDXVersion":
            self.version = self.version or self._text(value)
        elif tag == "DocumentName":
            self.title = self.title or self._text(value)
        elif self._package is not None:
            self._detail(self._package, tag, value)

    def close(self) -> None:
        """Finish the package under way."""
        package, self._package = self._package, None
        if package is None:
            return
        first = package.first
        self.builder.add(
            package.where,
            spdx.component(
                name=package.name,
                version=first.get("PackageVersion"),
                identifiers=package.identifiers,
                purpose=first.get("PrimaryPackagePurpose"),
                identifier=first.get("SPDXID"),
                licences=(first.get("PackageLicenseDeclared"), first.get("PackageLicenseConcluded")),
            ),
        )

    def _line(self, offset: int) -> str:
        """Say on which line an offset is, counting on from where it was last asked."""
        self._lines += self.buffer.count(b"\n", self._counted_to, offset)
        self._counted_to = offset
        return f"line {self._lines}"

    def _detail(self, package: _Package, tag: str, value: bytes) -> None:
        text = self._text(value)
        if tag != "ExternalRef":
            package.first.setdefault(tag, text)
            return
        parts = text.split(maxsplit=2)
        if len(parts) == 3:
            package.identifiers.take(parts[1], parts[2].rstrip())
        else:
            self.builder.skip(package.where, "an ExternalRef has not three parts")

    def _relationship(self, value: bytes) -> None:
        parts = value.split(maxsplit=3)
        if len(parts) >= 3 and parts[1] in (b"DESCRIBES", b"DESCRIBED_BY") and len(self.described) < 2:
            ends = {self._text(parts[0]), self._text(parts[2])}
            self.described |= ends - {"SPDXRef-DOCUMENT"}

    def _text(self, value: bytes) -> str:
        if value.startswith(b"<text>"):
            value = value.removeprefix(b"<text>").removesuffix(b"</text>")
        # One character more than is kept shows the builder that it is too long.
        return value[: 4 * self.builder.limits.text + 4].decode(errors="ignore").strip()


def read(probe: Probe, limits: Limits) -> Document:
    """Read the packages in document order."""
    buffer = probe.buffer
    check_utf8(buffer)
    reader = _Reader(buffer, limits)
    for count, found in enumerate(_PACKAGE.finditer(buffer), 1):
        if count > limits.components:
            reader.builder.check_count(line_at(buffer, found.start()), count)
    for line in _LINE.finditer(buffer):
        reader.builder.step("the document")
        if line["tag"] is not None:
            reader.take(line["tag"].decode(), line["value"], line.start())
            if reader.version is not None and reader.version not in spdx.VERSIONS:
                break
    version = spdx.check_version("SPDXVersion", reader.version)
    reader.close()
    if not reader.builder.components and not reader.title:
        raise SbomError("the document", "it has neither a name nor packages")
    name, described_version = spdx.subject(reader.described, reader.builder.components, reader.title)
    return reader.builder.document(Format.SPDX_TAG_VALUE, version, name, described_version)
