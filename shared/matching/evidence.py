"""Why a match is one: as data that can be stored, and as one English sentence.

`evidence(match)` is made when somebody asks: a match itself only points at what it was concluded from. The data:

* `certainty`;
* `criterion`: `criteria`, `matchCriteriaId` and the bounds, as the record writes them;
* `path`: where it stands in the record, such as ``configurations[0].nodes[1].cpeMatch[3]``;
* `identifier`: the CPE `name` under which the component was found, its `origin` (`cpe`, `purl`, `name`) and the
  `source` text it was read or derived from;
* `version`: the component's, the `scheme` in which it was compared, and `tests`, each spelled out (``1.0.1f < 1.0.1g``);
* `assumes`: what the inventory does not say and the match takes for granted: `platforms`, `attributes`;
* `because`: why no surer conclusion is allowed, where the component's source or the rules for package URLs say so;
* `sentence`.

`evidences(matches)` is the same for many matches: what they share is worked out once.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from shared.matching import configurations, cpe, versions
from shared.matching.certainty import Certainty
from shared.matching.compare import Hit, bounds, criterion_name
from shared.matching.criterion import Criterion
from shared.matching.identity import Identity, Origin
from shared.matching.match import Match

_SURE = {
    Certainty.CONFIRMED: "is affected",
    Certainty.CONDITIONAL: "is affected on a condition",
    Certainty.LIKELY: "is likely affected",
    Certainty.POSSIBLE: "is possibly affected",
}
_ORIGIN = {
    Origin.CPE: "its CPE name",
    Origin.PURL: "its package URL, read as",
    Origin.NAME: "its mere name, read as",
}


def evidence(match: Match) -> dict[str, Any]:
    """The evidence of a match, ready for JSON."""
    return _evidence(match, _spell(match.hit))


def evidences(matches: Iterable[Match]) -> Iterator[dict[str, Any]]:
    """The evidence of each match, ready for JSON; parts of it are one object for all that share a hit."""
    spelled: dict[int, tuple[Hit, _Spelled]] = {}
    for match in matches:
        known = spelled.get(id(match.hit))
        if known is None:
            known = spelled[id(match.hit)] = (
                match.hit,
                _spell(match.hit),
            )  # the hit is held, so its id stays its own
        yield _evidence(match, known[1])


class _Spelled(NamedTuple):
    """What a hit contributes to the evidence of every match through it."""

    criterion: dict[str, str]
    identifier: dict[str, str]
    version: dict[str, Any]
    attributes: list[str]
    """Those that the inventory does not state, with the value that is wanted."""
    subject: str
    """The component, as the sentence begins."""
    meets: str
    """Criterion, identity and comparison, in the middle of the sentence."""
    because: str
    """Why no surer conclusion is allowed; empty when nobody says so."""


def _spell(hit: Hit) -> _Spelled:
    identity, criterion = hit.identity, hit.criterion
    tests, scheme = version_tests(criterion, identity)
    tested = f" ({' and '.join(tests)}; version order: {scheme})" if criterion.has_range and tests else ""
    return _Spelled(
        describe_criterion(criterion),
        {"name": identity.label, "origin": identity.origin.value, "source": identity.source},
        {"value": identity.version, "scheme": scheme, "tests": tests},
        [f"{attribute}={_wanted(criterion, attribute)}" for attribute in hit.not_stated],
        f"{_product(identity)} {identity.version}".strip(),
        f"{criterion.criteria}{describe_range(criterion)}, "
        f"which {_ORIGIN[identity.origin]} {identity.label} meets{tested}",
        identity.because,
    )


def _evidence(match: Match, spelled: _Spelled) -> dict[str, Any]:
    platforms = [each.product_key for each in match.unknown]
    return {
        "certainty": match.certainty.value,
        "sentence": _sentence(match, spelled),
        "criterion": spelled.criterion,
        "path": configurations.spell(match.path, cna=match.cna),
        "identifier": spelled.identifier,
        "version": spelled.version,
        "assumes": {"platforms": platforms, "attributes": spelled.attributes},
        **({"because": spelled.because} if spelled.because else {}),
    }


def sentence(match: Match) -> str:
    """The evidence of a match as one English sentence."""
    return _sentence(match, _spell(match.hit))


def _sentence(match: Match, spelled: _Spelled) -> str:
    told = "the CNA's data names" if match.cna else "the record names"
    conditions = [f"it runs with {_plain(each.product_key)}" for each in match.unknown]
    conditions += [f"its {each.replace('=', ' is ', 1)}" for each in spelled.attributes]
    condition = f", if {' and '.join(conditions)}, which the inventory does not say" if conditions else ""
    doubt = f"; {spelled.because}" if spelled.because else ""
    return f"{spelled.subject} {_SURE[match.certainty]}: {told} {spelled.meets}{condition}{doubt}."


def describe_criterion(criterion: Criterion) -> dict[str, str]:
    """A criterion in the record's own words, absent bounds left out."""
    fields = {
        "criteria": criterion.criteria,
        "matchCriteriaId": criterion.match_criteria_id,
        "versionStartIncluding": criterion.version_start_including,
        "versionStartExcluding": criterion.version_start_excluding,
        "versionEndIncluding": criterion.version_end_including,
        "versionEndExcluding": criterion.version_end_excluding,
    }
    return {field: value for field, value in fields.items() if value}


def describe_range(criterion: Criterion) -> str:
    """The range in words: `` from 1.0.1 up to but not including 1.0.1g``; empty when there is none."""
    words = (
        ("from", criterion.version_start_including),
        ("after", criterion.version_start_excluding),
        ("up to and including", criterion.version_end_including),
        ("up to but not including", criterion.version_end_excluding),
    )
    return "".join(f" {word} {bound}" for word, bound in words if bound)


def version_tests(criterion: Criterion, identity: Identity) -> tuple[list[str], str]:
    """Each comparison of versions spelled out as it came out, and the scheme that decided.

    A test that failed says how the two really stand: ``1.0.1g = 1.0.1g``, where ``<`` was wanted.
    """
    try:
        name = criterion_name(criterion)
    except cpe.CpeError:
        return [], identity.scheme.name
    version = identity.version or "(unknown)"
    if not criterion.has_range:
        return [_exact_test(name, version)], versions.VENDOR.name
    tests, used = [], identity.scheme
    for bound in bounds(criterion, name):
        order, used = versions.compare(identity.scheme, identity.version, bound.text)
        sign = "?" if order is None else "<=>"[order + 1]
        wanted = bound.symbol if order in bound.allowed else f"{sign} {bound.text}, wanted {bound.symbol}"
        tests.append(f"{version} {wanted} {bound.text}")
    return tests, used.name


def _exact_test(name: cpe.Name, version: str) -> str:
    if name.version == cpe.ANY:
        return "every version"
    if name.version == cpe.NA:
        return f"no version, and the component's is {version}"
    update = "" if name.update in {cpe.ANY, cpe.NA} else f" {cpe.unquote(name.update)}"
    return f"{version} against {cpe.unquote(name.version)}{update}"


def _product(identity: Identity) -> str:
    return identity.package or cpe.unquote(identity.name.product)


def _wanted(criterion: Criterion, attribute: str) -> str:
    return cpe.unquote(str(getattr(criterion_name(criterion), attribute)))


def _plain(product_key: str) -> str:
    return cpe.unquote(product_key.replace(":", " ").partition(" ")[2])
