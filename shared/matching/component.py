"""A component as matching sees it: what the inventory says about one piece of software or hardware."""

import msgspec

from shared.matching.certainty import Certainty


class Component(msgspec.Struct, frozen=True, gc=False):
    """One entry of an asset's inventory; an operating system or a device is a component too."""

    name: str = ""
    version: str = ""
    """Empty when the inventory does not know it."""

    purl: str | None = None
    cpes: tuple[str, ...] = ()
    """CPE 2.3 formatted strings or 2.2 URIs; what cannot be parsed is passed over."""

    at_most: Certainty = Certainty.CONFIRMED
    """A limit set by whoever collected it: the banner of a distribution that back-ports is `possible`."""

    because: str = ""
    """Why no more than `at_most` may be concluded; the evidence repeats it."""

    host: str = ""
    """The address of the host on which a network scan found it; empty: it belongs to the asset itself."""

    port: str = ""
    """Where it answers on that host: ``22/tcp``."""
