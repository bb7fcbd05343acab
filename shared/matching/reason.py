"""Why a component is not affected, or not known to be."""

import enum


class Reason(enum.StrEnum):
    """One reason; the first seven are what comparing a criterion with an identity can come to."""

    NO_IDENTIFIER = "no_identifier_in_common"
    """None of the component's identities names the criterion's product."""

    VERSION_OUTSIDE = "version_outside"
    """The version is not the one named, or not within the range."""

    VERSION_NOT_NAMED = "version_not_named"
    """The criterion is about the product without a version (NA), and the component has one."""

    VERSION_UNKNOWN = "version_unknown"
    """Undecided: the criterion names versions and the inventory does not know the component's."""

    VERSION_UNDECIDED = "version_undecided"
    """Undecided: the version and a bound of the range have no common order, such as a commit and a number."""

    ATTRIBUTE_DIFFERS = "attribute_differs"
    """Edition, language, target or another attribute of the CPE names are disjoint."""

    ECOSYSTEM_DIFFERS = "ecosystem_differs"
    """The criterion is about software of another ecosystem, or may be about a program of the same name."""

    UNREADABLE = "criterion_unreadable"
    """Undecided: the record's CPE name breaks the grammar."""

    PLATFORM_NOT_MET = "platform_not_met"
    """The component meets a criterion, but something that the configuration wants beside it is not there."""

    NOT_ANALYSED = "record_not_analysed"
    """The record has no configurations, nor data of the CNA that could be used."""

    REJECTED = "record_rejected"
    """The record was withdrawn."""

    SUPPRESSED = "suppressed"
    """A user's decision hides it; matching never says so, services do."""


UNDECIDED = frozenset({Reason.VERSION_UNKNOWN, Reason.VERSION_UNDECIDED, Reason.UNREADABLE})
"""The reasons that are no "no": the criterion may be met."""
