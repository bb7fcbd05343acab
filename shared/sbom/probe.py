"""A first look at a document, cheap and safe on anything, from which the formats recognise themselves."""

import re
from typing import Final

from msgspec import Raw

from shared.sbom.elements import ABSENT, Envelope, envelope
from shared.sbom.model import SbomError
from shared.sbom.source import Buffer

_FIRST: Final = re.compile(rb"\S")


class Probe:
    """A loaded document with its first character and, when it is JSON, its outermost members."""

    def __init__(self, buffer: Buffer, encoding: str | None) -> None:
        self.buffer = buffer
        self.encoding = encoding
        first = _FIRST.search(buffer)
        if first is None:
            raise SbomError("the document", "it is empty")
        self.first = first[0]
        self.json: Envelope | None = None
        if self.first in (b"{", b"["):
            self.json = envelope(buffer)
            if self.json.sbom is not ABSENT and self.json.spdx_version is ABSENT:
                # GitHub's dependency graph hands out SPDX wrapped so.
                self.json = envelope(_plain(self.json.sbom))


def _plain(raw: Raw) -> Buffer:
    return bytes(memoryview(raw))
