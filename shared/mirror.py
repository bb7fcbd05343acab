"""Reading the mirror: which vulnerabilities concern these components, and what is known of a vulnerability.

Matching is one indexed lookup of criteria, one comparison of each, one lookup of the vulnerabilities that use those which
are met, and the evaluation of their configurations. Cost and memory follow the components and their candidates, not the
size of the mirror.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import msgspec
import sqlalchemy as sa
import zstandard
from sqlalchemy.orm import Session

from shared.errors import NotFound
from shared.matching import configurations
from shared.matching import explain as matching_explain
from shared.matching import match as matching
from shared.matching.certainty import Certainty
from shared.matching.compare import Inventory, compare_criteria
from shared.matching.component import Component
from shared.matching.criterion import EVERY_VERSION, Criterion, IndexKey
from shared.matching.evidence import evidence
from shared.matching.explain import Explanation
from shared.models.base import Document
from shared.models.finding import Severity
from shared.models.mirror import Criterion as CriterionRow
from shared.models.mirror import CriterionUse, Quarantine, SnapshotCounter, Vulnerability, VulnerabilityRecord

_KEYS = 1000
"""Values in one IN list: SQLite allows 32,766 variables, and a key is two."""

Progress = Callable[[int, int], None]

_T = TypeVar("_T")


class Details(NamedTuple):
    """What a finding or a list shows of a vulnerability."""

    vulnerability_id: int
    cve_id: str
    severity: Severity
    score: float | None
    kev: bool


class Match(NamedTuple):
    """A component is affected by a vulnerability."""

    found: matching.Match

    @property
    def component(self) -> int:
        """The index in the list of components that was matched."""
        return self.found.component

    @property
    def vulnerability_id(self) -> int:
        """Key of the vulnerability."""
        return self.found.vulnerability_id

    @property
    def certainty(self) -> Certainty:
        """How sure it is."""
        return self.found.certainty

    @property
    def evidence(self) -> Document:
        """Why, spelled out. Made when asked for: a scan has more matches than it keeps evidence."""
        return evidence(self.found)


@dataclass(frozen=True, slots=True)
class MatchResult:
    """Every match, ordered by component, then by CVE id."""

    matches: list[Match]
    details: Mapping[int, Details]
    """Of the vulnerabilities in `matches`, by key."""
    snapshot: int
    """The state of the mirror that the answer is about."""
    criteria: int
    """Criteria that were compared."""
    candidates: int
    """Vulnerabilities whose configurations were evaluated."""


def snapshot(session: Session) -> int:
    """The number of the last committed snapshot; 0 while the mirror is empty."""
    return session.scalar(sa.select(SnapshotCounter.number)) or 0


def match(
    session: Session, components: Sequence[Component], on_progress: Progress | None = None
) -> MatchResult:
    """Match an asset's whole set of components; in a reading transaction, which is one consistent snapshot.

    `on_progress` is told how many candidates of how many have been evaluated; what it raises ends the match.
    """
    inventory = Inventory(components)
    criteria = _criteria(session, inventory.lookup_keys())
    hits = compare_criteria(inventory, criteria)
    ids = _users(session, hits.met)
    details: dict[int, Details] = {}
    found: list[matching.Match] = []
    for start in range(0, len(ids), _KEYS):
        chunk = ids[start : start + _KEYS]
        candidates, about = _candidates(session, chunk)
        matches = list(matching.match_candidates(inventory, hits, candidates))
        found += matches
        details.update((each.vulnerability_id, about[each.vulnerability_id]) for each in matches)
        if on_progress is not None:
            on_progress(start + len(chunk), len(ids))
    found.sort(key=lambda each: (each.component, each.vulnerability_id))
    return MatchResult(list(map(Match, found)), details, snapshot(session), len(criteria), len(ids))


def explain(session: Session, components: Sequence[Component], index: int, cve_id: str) -> Explanation:
    """Why the component at `index` of an asset's whole set is affected by a vulnerability, or why not.

    Raises NotFound when the mirror does not hold the vulnerability.
    """
    columns = (Vulnerability.tree, Vulnerability.status)
    row = session.execute(sa.select(*columns).where(Vulnerability.cve_id == cve_id)).one_or_none()
    if row is None:
        raise NotFound(f"the mirror does not hold {cve_id}")
    tree = configurations.decode(row.tree) if row.tree else ()
    ids = {
        operand if isinstance(operand, int) else operand.criterion
        for _, operand in configurations.operands(tree)
    }
    criteria: dict[int, Criterion] = {}
    for chunk in _chunks(sorted(ids)):
        criteria.update(_selected(session, _criterion.id.in_(chunk)))
    return matching_explain.explain(components, index, criteria, tree, row.status)


def details(session: Session, ids: Iterable[int]) -> dict[int, Details]:
    """What is shown of vulnerabilities, by key; unknown keys are left out."""
    found = {}
    for chunk in _chunks(ids):
        for row in session.execute(sa.select(*_DETAILS).where(_vulnerability.id.in_(chunk))):
            found[row.id] = _details(row)
    return found


def record(session: Session, vulnerability_id: int) -> bytes | None:
    """A vulnerability's record as the NVD gave it: JSON without insignificant white space."""
    packed = session.scalar(
        sa.select(VulnerabilityRecord.record).where(VulnerabilityRecord.vulnerability_id == vulnerability_id)
    )
    return None if packed is None else zstandard.decompress(packed)


def quarantined_record(session: Session, key: str) -> bytes | None:
    """A record that could not be used, as it came."""
    packed = session.scalar(sa.select(Quarantine.record).where(Quarantine.key == key))
    return None if packed is None else zstandard.decompress(packed)


# Core columns, not mapped attributes: a third of the lookup's time would go into the mapper.
_criterion, _use, _vulnerability = (each.__table__.c for each in (CriterionRow, CriterionUse, Vulnerability))
_DETAILS = [_vulnerability[name] for name in ("id", "cve_id", "severity", "score", "kev_added")]
_COMPARED = ("id", *(field.name for field in msgspec.structs.fields(Criterion)))


def _details(row: Any) -> Details:
    return Details(row[0], row[1], row[2], row[3], kev=row[4] is not None)


def _criteria(session: Session, keys: Iterable[IndexKey]) -> dict[int, Criterion]:
    """The criteria filed under the keys, by id."""
    keys = set(keys)
    whole = sorted({product for product, version in keys if version == EVERY_VERSION})
    exact = sorted(key for key in keys if key[1] != EVERY_VERSION)
    found: dict[int, Criterion] = {}
    for chunk in _chunks(exact):
        found.update(_filed_under(session, chunk))
    for products in _chunks(whole):
        found.update(_selected(session, _criterion.product_key.in_(products)))
    return found


def _filed_under(session: Session, keys: list[IndexKey]) -> Iterator[tuple[int, Criterion]]:
    """A join with the keys: for `(a, b) IN (...)` SQLite looks at every criterion.

    Written out, since composing thousands of constants takes SQLAlchemy longer than the database takes to answer.
    """
    connection = session.connection()
    pair = "(?, ?)" if connection.dialect.paramstyle == "qmark" else "(%s, %s)"
    rows = connection.exec_driver_sql(
        f"WITH wanted (product_key, version_key) AS (VALUES {', '.join([pair] * len(keys))}) "  # noqa: S608
        f"SELECT {', '.join(_COMPARED)} FROM wanted JOIN criterion USING (product_key, version_key)",
        tuple(itertools.chain.from_iterable(keys)),
    ).all()
    return ((row[0], Criterion(*row[1:])) for row in rows)


def _selected(session: Session, condition: sa.ColumnElement[bool]) -> Iterator[tuple[int, Criterion]]:
    rows: Iterable[Any] = session.execute(
        sa.select(*(_criterion[name] for name in _COMPARED)).where(condition)
    )
    return ((row[0], Criterion(*row[1:])) for row in rows)


def _users(session: Session, criteria: Iterable[int]) -> list[int]:
    """The vulnerabilities that name one of the criteria as vulnerable, in the order of their CVE ids."""
    found: set[int] = set()
    for chunk in _chunks(criteria):
        statement = sa.select(_use.vulnerability_id).where(_use.criterion_id.in_(chunk), _use.vulnerable)
        found.update(session.scalars(statement).all())
    return sorted(found)


def _candidates(session: Session, ids: list[int]) -> tuple[list[matching.Candidate], dict[int, Details]]:
    candidates, about = [], {}
    statement = (
        sa.select(*_DETAILS, _vulnerability.tree)
        .where(_vulnerability.id.in_(ids))
        .order_by(_vulnerability.id)
    )
    for row in session.execute(statement).all():
        about[row[0]] = _details(row)
        candidates.append(matching.Candidate(row[0], row[-1] or ()))
    return candidates, about


def _chunks(values: Iterable[_T]) -> Iterator[list[_T]]:
    every = list(values)
    for start in range(0, len(every), _KEYS):
        yield every[start : start + _KEYS]
