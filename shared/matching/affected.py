"""The CNA's own data of a record, `affected[].affectedData[]`, as second-class evidence.

Since NVD analyses only part of what it publishes, this is often all that a record says. It is turned into the same
kind of tree and criteria as NVD's configurations, marked `cna`, so that lookup, comparison and evaluation are the
same; whatever it matches is `possible`. A record with usable configurations is read from those alone, so a match is
upgraded in place when NVD's analysis arrives.

The shape and its meaning are the CVE Record Format 5 (`affected`, product, version and changes):

* a version entry with neither `lessThan` nor `lessThanOrEqual` is that one version; ``0``, ``*`` and words such as
  ``unspecified`` begin at the beginning; an upper bound ``*`` (or one that ends so and has no number) is none, and
  ``5.*`` is below ``6``;
* `changes` cut the range, in the order of versions: from `at` on the status is another one;
* what no entry covers has the `defaultStatus`, which is unknown when absent;
* entries of the type ``git`` are commits without an order, and are passed over; so are packages of a distribution, whose
  product is the distribution: nothing that they say can be compared with an upstream version;
* many CNAs write the range into the version (``>= 1.0, < 1.2.3``): `shared.matching.written` reads it as meant.

A product is looked up under the `cpes` given, under its vendor and product written as a CPE name, and under its package
URL: the `packageURL` given, or what `packageName` and `collectionURL` tell. Every component is compared by itself, since
the data are about one product and not about what stands beside it.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from packageurl import PackageURL

from shared.matching import configurations, cpe, written
from shared.matching.configurations import Configuration, Node, Tree
from shared.matching.criterion import UNREADABLE, Criterion
from shared.matching.versions import vendor
from shared.matching.written import Range

# A word in a collection's host or path, and the package URL type that it means.
_COLLECTIONS = (
    ("npmjs", "npm"),
    ("pypi", "pypi"),
    ("rubygems", "gem"),
    ("crates", "cargo"),
    ("maven", "maven"),
    ("packagist", "composer"),
    ("nuget", "nuget"),
    ("pkg.go", "golang"),
    ("golang", "golang"),
    ("//hex.", "hex"),
    ("//pub.", "pub"),
    ("cpan", "cpan"),
)
_NO_NAME = frozenset({"", "n/a", "unknown", "unspecified", "-"})
_PACKAGED = frozenset({"rpm", "deb", "dpkg", "apk"})
_COMPANY = re.compile(
    r"[,_ ]+(?:software[_ ]foundation|inc|corp|corporation|ltd|llc|gmbh|ag|foundation|project)\.?\Z"
)


def tree_of(configured: Any, affected: Any) -> tuple[Tree, list[Criterion]]:
    """The tree and criteria of a record: of its configurations when they are usable, otherwise of the CNA's data."""
    tree, criteria = configurations.from_record(configured)
    return (tree, criteria) if _is_usable(tree, criteria) else from_record(affected)


def _is_usable(tree: Tree, criteria: list[Criterion]) -> bool:
    return any(
        isinstance(operand, int) and criteria[operand].index_key[0] != UNREADABLE
        for _, operand in configurations.operands(tree)
    )


def from_record(affected: Any) -> tuple[Tree, list[Criterion]]:
    """Read a record's `affected` (decoded or as JSON), as `configurations.from_record` reads its configurations."""
    affected = configurations.decoded(affected)
    reader = _Reader()
    tree = tuple(
        Configuration(
            every=False,
            negate=False,
            nodes=tuple(reader.product(each) for each in _entries(_get(source, "affectedData"))),
            cna=True,
        )
        for source in _entries(affected)
    )
    return tree, list(reader.numbers)


def _entries(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _get(value: Any, field: str) -> Any:
    return value.get(field) if isinstance(value, dict) else None


def _text(value: Any, field: str) -> str:
    found = _get(value, field)
    if isinstance(found, int | float) and not isinstance(found, bool):
        found = str(found)
    return found.strip() if isinstance(found, str) else ""


class _Reader:
    """Builds nodes and numbers their criteria."""

    def __init__(self) -> None:
        self.numbers: dict[Criterion, int] = {}

    def product(self, value: Any) -> Node:
        """One product: a child for each version entry, and one for the default status when that is affected.

        The last has children of its own, which is how a path tells it apart.
        """
        names = list(dict.fromkeys(_names(value)))
        entries = _entries(_get(value, "versions"))
        ranges = [list(_ranges(entry)) for entry in entries]
        children = [
            self._any(names, [each for status, each in found if status == "affected"]) for found in ranges
        ]
        if _text(value, "defaultStatus").lower() == "affected":
            other = [each for found in ranges for status, each in found if status == "unaffected"]
            default = self._any(names, [{}])
            except_for = self._any(names, other, negate=True)
            children.append(Node(True, False, (), (default, except_for) if other else (default,)))
        return Node(every=False, negate=False, operands=(), children=tuple(children))

    def _any(self, names: list[str], ranges: list[Range], *, negate: bool = False) -> Node:
        operands = tuple(self._number(_criterion(name, each)) for each in ranges for name in names)
        return Node(every=False, negate=negate, operands=operands)

    def _number(self, criterion: Criterion) -> int:
        return self.numbers.setdefault(criterion, len(self.numbers))


def _criterion(name: str, bounds: Range) -> Criterion:
    """A range of a product; a single version of a package is a range with the same ends."""
    bounds = dict(bounds)
    version = bounds.pop("version", None)
    if version is not None:
        bounds = {"version_start_including": version, "version_end_including": version}
    return Criterion(name, **bounds)


def _names(value: Any) -> Iterator[str]:
    if _is_packaged(value):
        return
    for text in _entries(_get(value, "cpes")):
        try:
            name = cpe.parse(str(text))
        except cpe.CpeError:
            continue
        yield str(cpe.Name(name.part, name.vendor, name.product))
    vendor, product = _text(value, "vendor").lower(), _text(value, "product").lower()
    if vendor not in _NO_NAME and product not in _NO_NAME:
        for owner in dict.fromkeys((vendor, _COMPANY.sub("", vendor))):
            for title in dict.fromkeys((product, product.removeprefix(owner + " "))):
                if cpe.is_value(cpe.quote(owner)) and cpe.is_value(cpe.quote(title)):
                    yield str(cpe.Name("a", cpe.quote(owner), cpe.quote(title)))
    for package in (
        _without_version(_text(value, "packageURL")),
        _package(_text(value, "collectionURL").lower(), _text(value, "packageName")),
    ):
        if package:
            yield package


def _is_packaged(value: Any) -> bool:
    """Whether it is a package within a distribution: the product is then the distribution, and the versions are not its."""
    kinds = {_text(entry, "versionType").lower() for entry in _entries(_get(value, "versions"))}
    return not kinds.isdisjoint(_PACKAGED) or "access.redhat.com" in _text(value, "collectionURL").lower()


def _without_version(text: str) -> str:
    try:
        package = PackageURL.from_string(text)
    except ValueError:
        return ""
    return PackageURL(package.type, package.namespace, package.name).to_string()


def _package(collection: str, name: str) -> str:
    purl_type = next((kind for word, kind in _COLLECTIONS if word in collection), "")
    if not purl_type or not name:
        return ""
    namespace, _, short = name.replace(":", "/").rpartition("/")
    try:
        return PackageURL(purl_type, namespace or None, short).to_string()
    except ValueError:
        return ""


def _ranges(entry: Any) -> Iterator[tuple[str, Range]]:
    """A version entry as ranges with their status."""
    if _text(entry, "versionType").lower() == "git":
        return
    version, status = _text(entry, "version"), _text(entry, "status").lower() or "affected"
    end = _end(entry)
    changes = sorted(_changes(_entries(_get(entry, "changes"))), key=_by_version)
    if end is None and not changes:
        yield from ((status, each) for each in written.ranges(version))
        return
    yield from _segments(version, status, changes, end or {})


def _end(entry: Any) -> Range | None:
    """The upper bound; empty when there is none, None when the entry is a single version."""
    for field, bound in (("lessThan", "version_end_excluding"), ("lessThanOrEqual", "version_end_including")):
        text = _text(entry, field)
        if not text:
            continue
        if not text.endswith("*"):
            return {bound: text}
        limit = written.below(text)
        return {} if limit is None else {"version_end_excluding": limit}
    return None


def _changes(entries: Iterable[Any]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        at, status = _text(entry, "at"), _text(entry, "status").lower()
        if at and status:
            yield at, status


def _by_version(change: tuple[str, str]) -> tuple[Any, ...]:
    """Its place among the changes of a range; what has no order stays in front."""
    key = vendor.key(change[0])
    return () if key is None else key


def _segments(
    version: str, status: str, changes: list[tuple[str, str]], end: Range
) -> Iterator[tuple[str, Range]]:
    """The range cut at its changes, each part with the status that holds in it."""
    start = {} if written.is_start(version) else {"version_start_including": version}
    for at, following in changes:
        yield status, {**start, "version_end_excluding": at}
        start, status = {"version_start_including": at}, following
    yield status, {**start, **end}
