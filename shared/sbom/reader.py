"""Which formats there are, and the one function that reads any of them."""

from typing import BinaryIO, Final, Protocol

import msgspec

from shared.sbom import cyclonedx_json, cyclonedx_xml, spdx_json, spdx_tagvalue
from shared.sbom.model import DEFAULT, Document, Limits, SbomError
from shared.sbom.probe import Probe
from shared.sbom.source import load


class Reader(Protocol):
    """What a format's module offers."""

    def recognises(self, probe: Probe) -> bool:
        """Say whether the document is of this format, of whatever version of it."""

    def read(self, probe: Probe, limits: Limits) -> Document:
        """Read a document that was recognised; raise `SbomError` when that cannot be done."""


FORMATS: Final[tuple[Reader, ...]] = (cyclonedx_json, spdx_json, cyclonedx_xml, spdx_tagvalue)


def read(data: bytes | bytearray | memoryview | BinaryIO, *, limits: Limits = DEFAULT) -> Document:
    """Read an SBOM in any of the formats; raise `SbomError` when that cannot be done.

    Duplicates are kept: the same package twice in a document stands in two places.
    """
    try:
        probe = Probe(*load(data, limits))
        for module in FORMATS:
            if module.recognises(probe):
                return module.read(probe, limits)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        # What the readers do not foresee is still the sender's to mend, not a fault of ours.
        raise SbomError("the document", f"it cannot be read: {error}") from error
    raise SbomError("the document", _why_not(probe))


def _why_not(probe: Probe) -> str:
    kind = "JSON, but not an SBOM: it has neither bomFormat nor spdxVersion" if probe.json else "not an SBOM"
    return f"it is {kind}; CycloneDX (JSON, XML) and SPDX (JSON, tag-value) are read"
