"""A criterion: one CPE match string with its range, as NVD's configurations list them under `cpeMatch`."""

import msgspec

from shared.matching import cpe
from shared.matching.versions import vendor

IndexKey = tuple[str, str]
"""(product key, version key): where the mirror files a criterion and where a component looks for it."""

EVERY_PRODUCT = "*"
"""The product key of criteria whose part, vendor or product is ANY or has wildcards: always looked up."""

UNREADABLE = "?"
"""The product key of criteria whose CPE name cannot be parsed: never looked up."""

MUST_COMPARE = ""
"""The version key of criteria with a range, of every version, or with wildcards: fetched and compared."""

NO_VERSION = cpe.NA
"""The version key of criteria that name no version (``-``)."""

EVERY_VERSION = "*"
"""In a lookup only: all version keys of the product."""


PACKAGE = "pkg:"
"""How criteria begin that `shared.matching.affected` makes: a package URL without version, in place of a CPE name."""


class Criterion(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """A CPE match string with its range."""

    criteria: str
    version_start_including: str | None = None
    version_start_excluding: str | None = None
    version_end_including: str | None = None
    version_end_excluding: str | None = None
    match_criteria_id: str | None = None

    @property
    def has_range(self) -> bool:
        """Whether any bound is set."""
        return bool(
            self.version_end_excluding
            or self.version_end_including
            or self.version_start_including
            or self.version_start_excluding
        )

    @property
    def is_package(self) -> bool:
        """Whether it names a package instead of a CPE."""
        return self.criteria.startswith(PACKAGE)

    @property
    def index_key(self) -> IndexKey:
        """Where the mirror files it. Versions that the matcher calls equal share the version key."""
        if self.is_package:
            return self.criteria, MUST_COMPARE
        try:
            name = cpe.parse(self.criteria)
        except cpe.CpeError:
            return UNREADABLE, MUST_COMPARE
        return product_key(name), MUST_COMPARE if self.has_range else version_key(name)


def product_key(name: cpe.Name) -> str:
    """The name's product key, or EVERY_PRODUCT when it is not a single product."""
    key = name.product_key
    if ("*" in key or "?" in key) and any(
        value == cpe.ANY or cpe.has_wildcards(value) for value in (name.part, name.vendor, name.product)
    ):
        return EVERY_PRODUCT
    return key


def version_key(name: cpe.Name) -> str:
    """The normal form of the version that a name names, its update joined in."""
    version, update = name.version, name.update
    if version == cpe.ANY or cpe.has_wildcards(version) or cpe.has_wildcards(update):
        return MUST_COMPARE
    if version == cpe.NA:
        return NO_VERSION
    if update not in {cpe.ANY, cpe.NA}:
        version = vendor.join(version, update)
    return vendor.normal(version)
