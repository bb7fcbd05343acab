"""How sure a match is."""

import enum


class Certainty(enum.StrEnum):
    """How sure a match is, the surest first; `weakest` combines two."""

    CONFIRMED = "confirmed"
    """The inventory gives a CPE name and the configuration is true."""

    CONDITIONAL = "conditional"
    """True if something holds that the inventory does not say: the platform, or an edition."""

    LIKELY = "likely"
    """The name was derived: from a package URL, or it is one of several CPE names that a tool guessed."""

    POSSIBLE = "possible"
    """A bare name, a package whose distribution may have fixed it, or only the CNA's own data."""


_RANK = {certainty: rank for rank, certainty in enumerate(Certainty)}


def rank(certainty: Certainty) -> int:
    """0 for the surest."""
    return _RANK[certainty]


def weakest(left: Certainty, right: Certainty) -> Certainty:
    """The less sure of two."""
    return left if _RANK[left] >= _RANK[right] else right
