"""SPDX 2.2 and 2.3 as tags and values. What counts as a component is said in `shared.sbom.spdx`.

The document is gone through line by line; a text between <text> and </text> counts as part of its line,
so that a line in a licence that looks like a tag is none.
"""

import re
from typing import Final

from shared.sbom import spdx
from shared.sbom.builder import Builder
from shared.sbom.model import Document, Format, Limits, SbomError
from shared.sbom.probe import Probe
from shared.sbom.source import Buffer, check_utf8, line_at

_TAGS: Final = (
    rb"[ \t]*+(?P<tag>Package(?:Name|Version|LicenseDeclared|LicenseConcluded)|PrimaryPackagePurpose|SPDXID"
    rb"|ExternalRef|Relationship|FileName|SnippetSPDXID|LicenseID|SPDXVersion|DocumentName):"
)
# From one line of interest to the next. Only ever matched at the beginning of a line, nothing tried twice.
_LINE: Final = re.compile(
    rb"(?:(?!" + _TAGS.replace(b"?P<tag>", b"?:") + rb")"
    rb"(?:\#[^\n]*+|[^\n:]*+:[ \t]*+<text>.*?(?:</text>|\Z)[^\n]*+|[^\n]*+)(?:\n|\Z))*+"
    + _TAGS
    + rb"[ \t]*+(?P<value><text>.*?(?:</text>|\Z)|[^\n]*+)[^\n]*+\n?+",
    re.DOTALL,
)
_STEPS_PER_LINE: Final = 4
# What follows them belongs to a file, a snippet or a licence, no longer to the package before.
_OTHER_THINGS: Final = frozenset({b"FileName", b"SnippetSPDXID", b"LicenseID"})
_HEAD: Final = re.compile(rb"^SPDXVersion:", re.MULTILINE)
_HEAD_WITHIN: Final = 64 * 1024
_PACKAGE: Final = re.compile(rb"^PackageName:", re.MULTILINE)


def recognises(probe: Probe) -> bool:
    """Say whether the text has a line with an SPDX version near its beginning."""
    return _HEAD.search(probe.buffer, 0, _HEAD_WITHIN) is not None


class _Package:
    """A package whose lines are being gathered."""

    def __init__(self, where: str, name: str, limits: Limits) -> None:
        self.where = where
        self.name = name
        self.first: dict[bytes, str] = {}
        self.identifiers = spdx.Identifiers(limits)


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
        self._longest = 4 * limits.text + 4

    def take(self, tag: bytes, value: bytes, offset: int) -> None:
        """Take one line."""
        if tag == b"Relationship":
            self._relationship(value)
        elif tag == b"PackageName":
            self.close()
            self._package = _Package(self._line(offset), self._text(value), self.builder.limits)
        elif tag in _OTHER_THINGS:
            self.close()
        elif tag == b"SPDXVersion":
            self.version = self.version or self._text(value)
        elif tag == b"DocumentName":
            self.title = self.title or self._text(value)
        elif self._package is not None:
            self._detail(self._package, tag, value)

    def close(self) -> None:
        """Finish the package under way."""
        package, self._package = self._package, None
        if package is None:
            return
        package.identifiers.report(package.where, self.builder)
        first = package.first.get
        self.builder.add(
            package.where,
            spdx.component(
                name=package.name,
                version=first(b"PackageVersion"),
                identifiers=package.identifiers,
                purpose=first(b"PrimaryPackagePurpose"),
                identifier=first(b"SPDXID"),
                licences=(first(b"PackageLicenseDeclared"), first(b"PackageLicenseConcluded")),
            ),
        )

    def _line(self, offset: int) -> str:
        """Say on which line an offset is, counting on from where it was last asked."""
        self._lines += self.buffer.count(b"\n", self._counted_to, offset)
        self._counted_to = offset
        return f"line {self._lines}"

    def _detail(self, package: _Package, tag: bytes, value: bytes) -> None:
        text = self._text(value)
        if tag != b"ExternalRef":
            package.first.setdefault(tag, text)
            return
        parts = text.split(maxsplit=2)
        if len(parts) == 3:
            package.identifiers.take(parts[1], parts[2].rstrip())
        else:
            self.builder.skip(package.where, "an ExternalRef has not three parts")

    def _relationship(self, value: bytes) -> None:
        if b"DESCRIBE" not in value or len(self.described) > 1:
            return
        parts = self._text(value).split(maxsplit=3)
        if len(parts) >= 3 and parts[1] in ("DESCRIBES", "DESCRIBED_BY"):
            self.described |= {parts[0], parts[2]} - {"SPDXRef-DOCUMENT"}

    def _text(self, value: bytes) -> str:
        if value.startswith(b"<text>"):
            value = value.removeprefix(b"<text>").removesuffix(b"</text>")
        # More than is kept, so that the builder sees that it is too long, but not without end.
        return value[: self._longest].decode(errors="ignore").strip()


def read(probe: Probe, limits: Limits) -> Document:
    """Read the packages in document order."""
    buffer = probe.buffer
    check_utf8(buffer)
    reader = _Reader(buffer, limits)
    for count, found in enumerate(_PACKAGE.finditer(buffer), 1):
        if count > limits.components:
            reader.builder.check_count(line_at(buffer, found.start()), count)
    reader.builder.step("the document", _STEPS_PER_LINE * buffer.count(b"\n"))
    line = _LINE.match(buffer)
    while line is not None:
        reader.take(line["tag"], line["value"], line.start("tag"))
        if reader.version is not None and reader.version not in spdx.VERSIONS:
            break
        line = _LINE.match(buffer, line.end())
    version = spdx.check_version("SPDXVersion", reader.version)
    reader.close()
    if not reader.builder.components and not reader.title:
        raise SbomError("the document", "it has neither a name nor packages")
    name, described_version = spdx.subject(reader.described, reader.builder.components, reader.title)
    return reader.builder.document(Format.SPDX_TAG_VALUE, version, name, described_version)
