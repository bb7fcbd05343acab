"""Reading what was uploaded, an SBOM or a report of nmap, before any transaction is open."""

import hashlib
from typing import BinaryIO, cast

from shared import sbom
from shared.errors import Invalid, TooLarge
from shared.nmap import report


class _Digesting:
    """Bytes on their way through, of which the digest is taken."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        """What the source gives."""
        piece = self._source.read(size)
        self._digest.update(piece)
        return piece

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def read(source: BinaryIO, limit: int) -> tuple[sbom.Document, str]:
    """A document of at most `limit` bytes, unpacked, and the SHA-256 of what was sent.

    Raises TooLarge, and Invalid, naming the place and the reason, when it cannot be read.
    """
    stream = _Digesting(source)
    try:
        document = sbom.read(cast(BinaryIO, stream), limits=sbom.Limits(size=limit, unpacked=limit))
    except sbom.SbomTooLarge as error:
        raise TooLarge(f"The document cannot be read: {error}.", {error.where: [error.why]}) from None
    except sbom.SbomError as error:
        raise Invalid(f"The document cannot be read: {error}.", {error.where: [error.why]}) from None
    return document, stream.sha256


def read_nmap(source: BinaryIO, limit: int) -> report.Report:
    """A report of nmap of at most `limit` bytes, unpacked.

    Raises TooLarge, and Invalid, naming the place and the reason, when it cannot be read.
    """
    try:
        return report.read(source, limit)
    except report.ReportTooLarge as error:
        raise TooLarge(f"The report cannot be read: {error}.", {error.where: [error.why]}) from None
    except report.ReportError as error:
        raise Invalid(f"The report cannot be read: {error}.", {error.where: [error.why]}) from None
