r"""From a package URL to the CPE names under which NVD may know the package.

NVD gives packages no systematic names, so every derived name is a guess with a limit on what it may conclude.
A criterion whose `target_sw` names the package's ecosystem agrees; one that names another (``wordpress``)
never does; one that leaves it open may mean a program of the same name. So a candidate has two limits,
`ceiling` and, for open criteria, `open_ceiling`, where None means "not met".

Each row: the packages, the names they may have, and the two limits (agreeing; open).

* all listed in `purl_names.KNOWN`: as listed; likely; likely
* all listed in `purl_names.SUITES`: as listed; possible; possible
* npm, pypi, gem, cargo, hex, pub, nuget, cpan: ``name_project:name``; likely; possible
* the same: ``name:name``; likely; none, but possible for pypi and gem unless in `purl_names.OTHER_PROGRAMS`
* npm ``@scope/name``: ``scope:name``, ``scope:\@scope\/name``; likely; possible
* nuget ``Owner.Rest``: ``owner:owner.rest``, ``owner:rest``; likely; possible
* maven ``group/artifact``: ``vendor:artifact``, also without ``-core``; likely; likely
* golang ``host/owner/repo[/...]``, github, bitbucket ``owner/repo``: ``owner:repo``; likely; likely
* composer ``vendor/name``: ``vendor:name``; likely; likely
* maven, golang, github, bitbucket, and composer outside suites: ``name_project:name``; likely; possible
* deb, rpm, apk, alpm, by source package: `purl_names.SYSTEM`, else ``name:name``, ``gnu:name``, ``name_project:name``;
  possible; possible
* others: `purl_names.SYSTEM` (conda: and `KNOWN` of pypi), ``namespace:name``, ``name:name``, ``name_project:name``;
  possible; possible

All are applications in the dictionary, but for `purl_names.OPERATING_SYSTEMS`: the Linux kernel; packages of its headers are
nothing. A hyphen in a name is also tried as an underscore. No word is added to an npm name: ``jquery.js`` was malware, not
``jquery``. The vendor of a Maven group is the one listed for the longest beginning of it
(`purl_names.MAVEN_VENDORS`), otherwise its second label (``com.acme.tools`` is ``acme``): a product is never looked up
without its vendor, so ``javax.mail`` never meets ``nextcloud:mail``.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain

import msgspec
from packageurl import PackageURL

from shared.matching import cpe
from shared.matching.certainty import Certainty
from shared.matching.purl_names import (
    KNOWN,
    MAVEN_VENDORS,
    OPERATING_SYSTEMS,
    OTHER_PROGRAMS,
    SUITES,
    SYSTEM,
)

_PHP = frozenset({"php", "composer"})
TARGET_SOFTWARE = {
    "npm": frozenset({"node.js", "nodejs"}),
    "pypi": frozenset({"python", "pypi"}),
    "gem": frozenset({"ruby", "ruby_on_rails", "rails", "rubygems"}),
    "cargo": frozenset({"rust"}),
    "golang": frozenset({"go", "golang"}),
    "maven": frozenset({"java", "maven", "jvm"}),
    "nuget": frozenset({".net", ".net_core", ".net_framework", "asp.net", "nuget"}),
    "composer": _PHP,
    "hex": frozenset({"elixir", "erlang"}),
    "pub": frozenset({"dart", "flutter"}),
    "cpan": frozenset({"perl"}),
    "swift": frozenset({"swift"}),
}
"""What NVD writes in `target_sw` for packages of an ecosystem."""

SYSTEM_TYPES = frozenset({"deb", "rpm", "apk", "alpm", "alpine"})
"""Operating-system packages: distributions fix flaws without changing the version that they started from."""

_PACKAGE_TYPES = frozenset({"npm", "pypi", "gem", "cargo", "hex", "pub", "nuget", "cpan"})
_OFTEN_PROGRAMS = frozenset({"pypi", "gem"})
"""Whose packages NVD often names without their ecosystem; npm's share too many names with other programs."""

_HOSTED_TYPES = frozenset({"github", "bitbucket"})

LIKELY, POSSIBLE = Certainty.LIKELY, Certainty.POSSIBLE


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A CPE name that a package may have, and how far to trust it."""

    name: cpe.Name
    target_sw: frozenset[str]
    ceiling: Certainty
    """For criteria that name the ecosystem."""

    open_ceiling: Certainty | None
    """For criteria that name none; None: they are not met."""

    because: str = ""
    """What else is to be known about it; the evidence repeats it."""


_PART = "the package is one of several that the product consists of, and the flaw may be in another one"

_Guess = tuple[str, str, Certainty, Certainty | None]
"""Vendor and product as attribute values, `ceiling`, `open_ceiling`."""


def target_software(purl_type: str) -> frozenset[str]:
    """The values of `target_sw` that agree with packages of a type."""
    return TARGET_SOFTWARE.get(purl_type, frozenset())


def has_ecosystem(purl_type: str) -> bool:
    """Whether packages of a type are of one ecosystem, by whose rules names can be told apart."""
    return purl_type in TARGET_SOFTWARE or purl_type in _HOSTED_TYPES


def is_another_program(purl_type: str, name: cpe.Name) -> bool:
    """Whether a name that a tool guessed for a package is that of an unrelated program."""
    return purl_type in _PACKAGE_TYPES and f"{name.vendor}:{name.product}" in OTHER_PROGRAMS


def candidates(package: PackageURL) -> Iterator[Candidate]:
    """The CPE names by which NVD may know a package, the best first, each once."""
    target_sw = target_software(package.type)
    suite = {_split(name) for name in _suite(package)}
    seen = set()
    for vendor, product, ceiling, open_ceiling in chain(_listed(package), _rule(package)):
        for pair in _spellings(vendor, product):
            if pair in seen or not all(map(cpe.is_value, pair)):
                continue
            seen.add(pair)
            because = _PART if (vendor, product) in suite else ""
            yield Candidate(_name(*pair), target_sw, ceiling, open_ceiling, because)


def named(name: str) -> Iterator[cpe.Name]:
    """The CPE names that a bare name may mean: those listed for it, else the name itself and its project."""
    name = name.lower()
    if listed := _packaged(name):
        yield from (_name(*_split(each)) for each in listed)
        return
    product = cpe.quote(name)
    if cpe.is_value(product):
        yield _name(product, product)
        yield _name(f"{product}_project", product)


def _name(vendor: str, product: str) -> cpe.Name:
    return cpe.Name("o" if f"{vendor}:{product}" in OPERATING_SYSTEMS else "a", vendor, product)


def _spellings(vendor: str, product: str) -> Iterable[tuple[str, str]]:
    yield vendor, product
    if "-" in product:
        spelling = product.replace("-", "_")
        yield vendor, spelling
        if vendor == f"{product}_project":
            yield f"{spelling}_project", spelling


def _full_name(package: PackageURL) -> str:
    return f"{package.namespace}/{package.name}" if package.namespace else package.name


def _listed(package: PackageURL) -> Iterator[_Guess]:
    for name in _known(package):
        yield (*_split(name), LIKELY, LIKELY)
    for name in _suite(package):
        yield (*_split(name), POSSIBLE, POSSIBLE)


def is_known(package: PackageURL) -> bool:
    """Whether what NVD calls the package is listed, not guessed."""
    return bool(_known(package))


def _known(package: PackageURL) -> tuple[str, ...]:
    key = _full_name(package)
    if package.type == "golang":
        key = _module(key)
    elif package.type != "maven":
        key = key.lower()
    return KNOWN.get(package.type, {}).get(key, ())


def _suite(package: PackageURL) -> tuple[str, ...]:
    suites = SUITES.get(package.type, {})
    return (*suites.get(_full_name(package).lower(), ()), *suites.get(f"{package.namespace}/", ()))


def _split(name: str) -> tuple[str, str]:
    vendor, _, product = name.partition(":")
    return vendor, product


def _rule(package: PackageURL) -> Iterable[_Guess]:
    kind = package.type
    if kind == "npm" and package.namespace:
        return _npm_scoped(package)
    if kind in SYSTEM_TYPES:
        return _system(package)
    if kind in _PACKAGE_TYPES:
        return chain(_package(package), _dotted(package) if kind == "nuget" else ())
    if kind == "golang":
        return _repository(
            _module(_full_name(package)).replace("golang.org/x/", "golang.org/golang/").split("/")[1:]
        )
    if kind in _HOSTED_TYPES:
        return _repository(_full_name(package).split("/"))
    by_type = {"maven": _maven, "composer": _composer}
    return by_type.get(kind, _any_type)(package)


def _project(name: str, ceiling: Certainty = LIKELY) -> _Guess:
    """NVD's placeholder for software without a vendor."""
    return f"{name}_project", name, ceiling, POSSIBLE


def _package(package: PackageURL) -> Iterator[_Guess]:
    name = cpe.quote(package.name)
    yield _project(name)
    is_distinct = package.type in _OFTEN_PROGRAMS and f"{name}:{name}" not in OTHER_PROGRAMS
    yield name, name, LIKELY, POSSIBLE if is_distinct else None


def _npm_scoped(package: PackageURL) -> Iterator[_Guess]:
    scope = cpe.quote((package.namespace or "").lstrip("@"))
    yield scope, cpe.quote(package.name), LIKELY, POSSIBLE
    yield scope, cpe.quote(_full_name(package)), LIKELY, POSSIBLE


def _dotted(package: PackageURL) -> Iterator[_Guess]:
    owner, dot, rest = package.name.partition(".")
    if dot:
        yield cpe.quote(owner), cpe.quote(package.name), LIKELY, POSSIBLE
        yield cpe.quote(owner), cpe.quote(rest), LIKELY, POSSIBLE


def _maven(package: PackageURL) -> Iterator[_Guess]:
    artifact = cpe.quote(package.name)
    products = [artifact]
    if artifact.endswith("-core"):
        products.append(artifact.removesuffix("-core"))
    for vendor in _maven_vendors(package.namespace or package.name):
        for product in products:
            yield vendor, product, LIKELY, LIKELY
    yield _project(artifact)


def _maven_vendors(group: str) -> Iterable[str]:
    labels = group.lower().split(".")
    for length in range(len(labels), 0, -1):
        known = MAVEN_VENDORS.get(".".join(labels[:length]))
        if known:
            return known
    if group.lower().startswith("commons-"):
        return MAVEN_VENDORS["commons"]
    return (cpe.quote(labels[1] if len(labels) > 1 else labels[0]),)


_MAJOR = re.compile(r"(?:/v\d+|\.v\d+)(?=/|\Z)")
_HOSTS = ("github.com/", "gitlab.com/", "bitbucket.org/")


def _module(path: str) -> str:
    """The module's repository: of a code host three labels, otherwise the path without its major version."""
    if path.startswith(_HOSTS):
        return "/".join(path.split("/")[:3])
    return path if path.startswith("gopkg.in/") else _MAJOR.sub("", path)


def _repository(labels: list[str]) -> Iterator[_Guess]:
    if not labels:
        return
    product = cpe.quote(_MAJOR.sub("", labels[-1]))
    if len(labels) > 1:
        yield cpe.quote(labels[-2]), product, LIKELY, LIKELY
    yield _project(product)


def _composer(package: PackageURL) -> Iterator[_Guess]:
    name = cpe.quote(package.name)
    if package.namespace:
        yield cpe.quote(package.namespace), name, LIKELY, LIKELY
    if not _suite(package):
        yield _project(name)


_VERSIONED = re.compile(r"[-.]?\d+(?:\.\d+)*\Z")
_BINARY = re.compile(r"-(?:libs?|dev|devel|common|minimal|base|bin|utils|tools|clients?|server|data|doc)\Z")


# Built from the kernel's source, and not the kernel: they run nowhere.
_HEADERS = re.compile(r"linux-libc-dev|(?:linux|kernel)-headers.*|kernel-devel.*")

_SOURCE_RPM = re.compile(r"(?:-[^-]+-[^-]+)?\.src\.rpm\Z")


def _system(package: PackageURL) -> Iterator[_Guess]:
    """By the source package: what `upstream` or `source` tells, or what the binary's name suggests."""
    if _HEADERS.fullmatch(package.name):
        return
    qualifiers = package.qualifiers if isinstance(package.qualifiers, dict) else {}
    source = str(qualifiers.get("upstream") or qualifiers.get("source") or package.name).lower()
    source = _SOURCE_RPM.sub("", source.partition("@")[0])
    listed = _packaged(source)
    if listed:
        for name in listed:
            yield (*_split(name), POSSIBLE, POSSIBLE)
        return
    name = cpe.quote(source)
    for vendor in (name, f"{name}_project", "gnu"):
        yield vendor, name, POSSIBLE, POSSIBLE


def _packaged(name: str) -> tuple[str, ...]:
    """What is listed for a program or a distribution's package of it."""
    return SYSTEM.get(name) or SYSTEM.get(_VERSIONED.sub("", _BINARY.sub("", _VERSIONED.sub("", name)))) or ()


def _any_type(package: PackageURL) -> Iterator[_Guess]:
    name = cpe.quote(package.name)
    known = KNOWN["pypi"].get(package.name.lower(), ()) if package.type == "conda" else ()
    for listed in (*_packaged(package.name.lower()), *known):
        yield (*_split(listed), POSSIBLE, POSSIBLE)
    if package.namespace:
        yield cpe.quote(package.namespace.split("/")[-1]), name, POSSIBLE, POSSIBLE
    yield name, name, POSSIBLE, POSSIBLE
    yield _project(name, POSSIBLE)
