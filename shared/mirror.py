"""Reading the mirror: which vulnerabilities concern these components, and what is known of a vulnerability.

Matching is one indexed lookup of criteria, one comparison of each, one lookup of the vulnerabilities that use those which
are met, and the evaluation of their configurations. Cost and memory follow the components and their candidates, not the
size of the mirror.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
import zstandard
from sqlalchemy.orm import Session

from shared import database
from shared.errors import NotFound
from shared.matching import configurations
from shared.matching import explain as matching_explain
from shared.matching import match as matching
from shared.matching.certainty import Certainty
from shared.matching.compare import Inventory, compare_criteria
from shared.matching.component import Component
from shared.matching.criterion import EVERY_VERSION, Criterion, IndexKey
from shared.matching.evidence import evidence, evidences
from shared.matching.explain import Explanation
from shared.models.base import Document
from shared.models.enrichment import is_known_exploited
from shared.models.finding import Severity
from shared.models.mirror import Quarantine, SnapshotCounter, Vulnerability, VulnerabilityRecord

Progress = Callable[[int, int], None]


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

    def evidences(self) -> Iterator[Document]:
        """Why, spelled out, for each match in turn: quicker than one by one, since they have much in common."""
        return evidences(each.found for each in self.matches)


def snapshot(session: Session) -> int:
    """The number of the last committed snapshot; 0 while the mirror is empty."""
    return session.scalar(sa.select(SnapshotCounter.number)) or 0


def match(
    session: Session, components: Sequence[Component], on_progress: Progress | None = None
) -> MatchResult:
    """Match an asset's whole set of components; in a reading transaction, which is one consistent snapshot.

    The components of each host of a network, and those of the asset itself, are matched apart: what runs on one host says
    nothing about another's platform. `on_progress` is told how many candidates of how many have been evaluated, or of
    several hosts how many are done; what it raises ends the match.
    """
    with database.by_index(session):
        return _match(session, components, on_progress)


def _match(session: Session, components: Sequence[Component], on_progress: Progress | None) -> MatchResult:
    hosts: dict[str, list[int]] = {}
    for index, component in enumerate(components):
        hosts.setdefault(component.host, []).append(index)
    if len(hosts) <= 1:
        return _match_together(session, components, on_progress)
    found: list[matching.Match] = []
    details: dict[int, Details] = {}
    criteria = candidates = 0
    for done, indexes in enumerate(hosts.values(), 1):
        result = _match_together(session, [components[index] for index in indexes], None)
        found += (
            msgspec.structs.replace(each.found, component=indexes[each.component]) for each in result.matches
        )
        details |= result.details
        criteria += result.criteria
        candidates += result.candidates
        if on_progress is not None:
            on_progress(done, len(hosts))
    found.sort(key=lambda each: (each.component, each.vulnerability_id))
    return MatchResult(list(map(Match, found)), details, snapshot(session), criteria, candidates)


def _match_together(
    session: Session, components: Sequence[Component], on_progress: Progress | None
) -> MatchResult:
    """Match the components of one host, or of what is no network."""
    inventory = Inventory(components)
    criteria = _criteria(session, inventory.lookup_keys())
    hits = compare_criteria(inventory, criteria)
    users = _users(session, hits.met)
    ids = sorted(users)
    details: dict[int, Details] = {}
    found: list[matching.Match] = []
    done = 0
    for chunk in database.in_lists(ids):
        rows = {row[0]: row for row in _look_up(session, _CANDIDATES, chunk)}
        candidates = (matching.Candidate(key, rows[key][-1] or (), users[key]) for key in sorted(rows))
        matches = list(matching.match_candidates(inventory, hits, candidates))
        details.update((key, _details(rows[key])) for key in {each.vulnerability_id for each in matches})
        found += matches
        if on_progress is not None:
            on_progress(done := done + len(chunk), len(ids))
    found.sort(key=attrgetter("component"))  # by CVE id they are in order already
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
    with database.by_index(session):
        rows = _look_up(session, "SELECT {criterion} FROM criterion WHERE id {listed}", ids)
        criteria = {row[0]: Criterion(*row[1:]) for row in rows}
    return matching_explain.explain(components, index, criteria, tree, row.status)


def naming(session: Session, cpe_name: str, *, vulnerable_only: bool) -> list[int]:
    """The vulnerabilities in whose configurations the NVD names this product in this version, whatever else they demand.

    With `vulnerable_only` those that name it as vulnerable and not as the platform of something that is.
    """
    inventory = Inventory([Component(cpes=(cpe_name,))])
    condition = "vulnerable AND" if vulnerable_only else ""
    statement = f"SELECT vulnerability_id FROM criterion_use WHERE {condition} criterion_id {{listed}}"  # noqa: S608
    with database.by_index(session):
        criteria = _criteria(session, inventory.lookup_keys())
        met = {key for key in compare_criteria(inventory, criteria).met if criteria[key].match_criteria_id}
        return sorted({row[0] for row in _look_up(session, statement, met)})


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


_SEVERITIES = {severity.value: severity for severity in Severity}
_CRITERION = ", ".join(["id", *(field.name for field in msgspec.structs.fields(Criterion))])
_CANDIDATES = "SELECT {details}, tree FROM vulnerability WHERE id {listed}"
_DETAILS = f"id, cve_id, severity, score, {is_known_exploited()}"


def _details(row: tuple[Any, ...]) -> Details:
    return Details(row[0], row[1], _SEVERITIES[row[2]], row[3], bool(row[4]))


def _criteria(session: Session, keys: Iterable[IndexKey]) -> dict[int, Criterion]:
    """The criteria filed under the keys, by id."""
    keys = set(keys)
    whole = {product for product, version in keys if version == EVERY_VERSION}
    exact = (key for key in keys if key[1] != EVERY_VERSION)
    # A join, because SQLite looks at every criterion for `(a, b) IN (...)`.
    join = (
        "WITH wanted (product_key, version_key) AS ({listed}) "
        "SELECT {criterion} FROM wanted JOIN criterion USING (product_key, version_key)"
    )
    rows = itertools.chain(
        _look_up(session, join, exact),
        _look_up(session, "SELECT {criterion} FROM criterion WHERE product_key {listed}", whole),
    )
    return {row[0]: Criterion(*row[1:]) for row in rows}


def _users(session: Session, criteria: Iterable[int]) -> dict[int, list[int]]:
    """The vulnerabilities that name one of the criteria as vulnerable, and which of them."""
    statement = (
        "SELECT vulnerability_id, criterion_id FROM criterion_use "
        "WHERE vulnerable AND criterion_id {listed} ORDER BY criterion_id"
    )
    users: dict[int, list[int]] = defaultdict(list)
    for vulnerability, criterion in _look_up(session, statement, criteria):
        users[vulnerability].append(criterion)
    return users


def _look_up(session: Session, statement: str, values: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    """The rows of `statement` for all values `{listed}`, in as many rounds as it takes; it may ask for columns in groups.

    Straight through the driver: of a scan's look-ups, composing the lists and wrapping the rows would be the greater part.
    """
    connection = session.connection()
    postgres = connection.dialect.name == "postgresql"
    options = {"binary": True} if postgres else {}  # or else trees come as hexadecimal digits
    with closing(connection.connection.cursor(**options)) as cursor:
        for chunk in database.in_lists(sorted(values)):
            listed, parameters = _arrays(chunk) if postgres else _marks(chunk)
            cursor.execute(
                statement.format(listed=listed, criterion=_CRITERION, details=_DETAILS), parameters
            )
            yield from cursor.fetchall()


def _arrays(chunk: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    """Values, or pairs of texts, for PostgreSQL: one statement to plan however many they are."""
    if isinstance(chunk[0], tuple):
        return "SELECT * FROM unnest(%s::text[], %s::text[])", list(map(list, zip(*chunk, strict=True)))
    return "= ANY(%s)", [list(chunk)]


def _marks(chunk: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    """Values, or pairs, for SQLite, which has no arrays."""
    if isinstance(chunk[0], tuple):
        return f"VALUES {', '.join(['(?, ?)'] * len(chunk))}", list(itertools.chain.from_iterable(chunk))
    return f"IN ({', '.join('?' * len(chunk))})", chunk
