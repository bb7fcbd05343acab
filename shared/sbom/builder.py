"""What every reader feeds: cleans texts, checks purls and CPEs, keeps the list of what was skipped."""

import re
from collections.abc import Iterable
from typing import Final

from shared.sbom.model import Component, Document, Format, Limits, SbomError, Skipped

_CONTROLS: Final = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff]")
# Shapes only, and such as take one pass over the text: possessive, so that nothing is tried twice.
_PURL: Final = re.compile(r"pkg:/*+[A-Za-z][A-Za-z0-9.+-]*+/\S++")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CPE23: Final = re.compile(r"cpe:2\.3:[aho*-](?::(?:[^\s:\\]|\\\S)++){10}", re.IGNORECASE)
_CPE22: Final = re.compile(r"cpe:/[aho]?(?::[^\s:]*+){0,10}", re.IGNORECASE)


class Builder:
    """Collects one document's components under its limits."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.components: list[Component] = []
        self._skipped: list[Skipped] = []
        self._unlisted = 0
        self._left_out = 0
        self._steps = 0

    def skip(self, where: str, why: str) -> None:
        """List something that was left out or repaired."""
        if len(self._skipped) < self.limits.skipped:
            self._skipped.append(Skipped(where, why))
        else:
            self._unlisted += 1

    def leave_out(self, where: str, why: str) -> None:
        """List a whole component that cannot be used.

        A document of which nothing can be used is refused: read as empty, it would look as if all
        software had been removed.
        """
        self.skip(where, f"the component is left out: {why}")
        self._left_out += 1
        if self._left_out > self.limits.skipped:
            self._check_some_are_usable()

    def _check_some_are_usable(self) -> None:
        if self._left_out and not self.components:
            first = self._skipped[0]
            raise SbomError(first.where, f"none of the components can be used; of the first: {first.why}")

    def step(self, where: str, count: int = 1) -> None:
        """Count work, and refuse a document that asks for far more of it than its size explains."""
        self._steps += count
        if self._steps > self.limits.steps:
            raise SbomError(where, "the document has far too many small or nested pieces to be read")

    def check_depth(self, where: str, depth: int) -> None:
        """Refuse components nested deeper than allowed."""
        if depth > self.limits.depth:
            raise SbomError(where, f"components are nested more than {self.limits.depth} deep")

    def check_count(self, where: str, count: int) -> None:
        """Refuse more components than allowed."""
        if count > self.limits.components:
            raise SbomError(where, f"the document has more than {self.limits.components:,} components")

    def add(self, where: str, component: Component) -> None:
        """Take a component as read, clean it and keep it, unless it has no usable name or version."""
        cleaned = self.clean(where, component)
        if cleaned is not None:
            self.check_count(where, len(self.components) + 1)
            self.components.append(cleaned)

    def clean(self, where: str, raw: Component) -> Component | None:
        """Give the component as it may be stored, or None with the reason listed.

        A name or a version that is too long leaves the whole component out: without its version it
        would be another component. Anything else that is too long is left out alone.
        """
        purl = self.text(where, "purl", raw.purl)
        name = self.text(where, "name", raw.name) or self._name_from(where, purl)
        version = self.text(where, "version", raw.version)
        if name is None or (version is None and raw.version is not None and raw.version.strip()):
            self.leave_out(where, "it has no usable " + ("version" if name else "name"))
            return None
        if purl is not None and not _name_in(purl):
            self.skip(where, f"the purl is kept but is not valid: {_shown(purl)}")
        return Component(
            name=name,
            version=version,
            group=self.text(where, "group", raw.group) if raw.group else None,
            purl=purl,
            cpes=self._cpes(where, raw.cpes) if raw.cpes else (),
            type=self.text(where, "type", raw.type) if raw.type else None,
            bom_ref=self.text(where, "reference", raw.bom_ref) if raw.bom_ref else None,
            licences=self._several(where, "licence", raw.licences) if raw.licences else (),
        )

    def text(self, where: str, what: str, value: str | None) -> str | None:
        """Give a text stripped, short enough and storable; None when nothing is left."""
        if not value:
            return None
        if len(value) > self.limits.text:
            value = value.strip()
            if len(value) > self.limits.text:
                self.skip(where, f"the {what} is longer than {self.limits.text:,} characters")
                return None
        if value.isprintable():
            return value.strip() or None
        value = " ".join(value.split())
        repaired = _CONTROLS.sub("\ufffd", value)
        if repaired != value:
            self.skip(where, f"control characters in the {what} are replaced by U+FFFD")
        return repaired or None

    def document(self, form: Format, spec_version: str, name: str | None, version: str | None) -> Document:
        """Close the list; raise `SbomError` when there was something to list but nothing is left."""
        self._check_some_are_usable()
        described_name = self.text("the described thing", "name", name)
        described_version = self.text("the described thing", "version", version)
        skipped = self._skipped
        if self._unlisted:
            skipped = [*skipped, Skipped("the rest of the document", f"{self._unlisted:,} more remarks")]
        return Document(form, spec_version, described_name, described_version, self.components, skipped)

    def _cpes(self, where: str, values: Iterable[str]) -> tuple[str, ...]:
        cpes = self._several(where, "CPE", values)
        for cpe in cpes:
            if _CPE23.fullmatch(cpe) is None and _CPE22.fullmatch(cpe) is None:
                self.skip(where, f"the CPE is kept but is not valid: {_shown(cpe)}")
        return cpes

    def _several(self, where: str, what: str, values: Iterable[str]) -> tuple[str, ...]:
        kept: dict[str, None] = {}
        for value in values:
            if (text := self.text(where, what, value)) is not None:
                kept[text] = None
            if len(kept) > self.limits.cpes:
                kept.popitem()
                self.skip(where, f"it has more than {self.limits.cpes} {what} entries; the rest is left out")
                break
        return tuple(kept)

    def _name_from(self, where: str, purl: str | None) -> str | None:
        name = _name_in(purl) if purl else None
        if name:
            self.skip(where, "the component has no name; it is taken from the purl")
        return name


def _name_in(purl: str) -> str | None:
    """Give the purl's name, or None when it does not have the shape of a purl."""
    if _PURL.fullmatch(purl) is None or _BAD_ESCAPE.search(purl):
        return None
    path = re.split(r"[?#]", purl, maxsplit=1)[0]
    return path.rpartition("/")[2].partition("@")[0] or None


def _shown(value: str) -> str:
    return value if len(value) <= 120 else value[:117] + "..."
