"""The mirror as it can be asked: lists, one record, dry runs of the matching, explanations."""

import datetime as dt
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session, defer, selectinload

from api_service.paging import Page, PageRequest, fetch
from api_service.services import findings, records, search
from shared import inventory, mirror
from shared.errors import NotFound
from shared.lifecycle.finding import component_key
from shared.matching import cpe
from shared.matching.component import Component
from shared.matching.reason import Reason
from shared.models.asset import Asset, InventorySource
from shared.models.base import Document
from shared.models.enrichment import EpssScore, KnownExploited, is_known_exploited, known_exploited
from shared.models.finding import Severity
from shared.models.mirror import Criterion, CriterionUse, Vulnerability, VulnerabilityCwe

_ID_PREFIX = re.compile(r"CVE-(\d{4})(?:-(\d{0,10}))?", re.ASCII | re.IGNORECASE)
_PARTS = ("a", "o", "h")


@dataclass(frozen=True)
class Filters:
    """Which vulnerabilities; None stands for all."""

    q: str | None = None
    """The beginning of an id, or words that all occur in the description."""
    severity: Severity | None = None
    cwe: str | None = None
    vendor: str | None = None
    product: str | None = None
    kev: bool | None = None
    epss_min: float | None = None
    published_since: dt.datetime | None = None
    modified_since: dt.datetime | None = None


def list_vulnerabilities(
    session: Session, filters: Filters, page: PageRequest, *, likeliest_first: bool = False
) -> Page[Vulnerability]:
    """Vulnerabilities, the latest published first, or those first that are the likeliest to be exploited."""
    statement = sa.select(Vulnerability.id).where(*_conditions(filters))
    if likeliest_first:
        statement = statement.outerjoin(EpssScore, EpssScore.vulnerability_id == Vulnerability.id)
        statement = statement.order_by(sa.func.coalesce(EpssScore.score, -1.0).desc())
    # Keys first: whole rows would be carried through the sorting of a list that is the mirror.
    ids = fetch(session, statement.order_by(Vulnerability.published.desc(), Vulnerability.id.desc()), page)
    rows = sa.select(Vulnerability).where(Vulnerability.id.in_(ids.items))
    rows = rows.options(
        defer(Vulnerability.tree),
        defer(Vulnerability.digest),
        selectinload(Vulnerability.epss),
        selectinload(Vulnerability.listed),
    )
    by_id = {row.id: row for row in session.scalars(rows)}
    return ids.map(by_id.__getitem__)


def _conditions(filters: Filters) -> list[search.Condition]:
    conditions = search.conjunction((Vulnerability.severity, filters.severity))
    if filters.q is not None:
        conditions += _words(filters.q)
    if filters.cwe is not None:
        conditions.append(
            Vulnerability.id.in_(
                sa.select(VulnerabilityCwe.vulnerability_id).where(VulnerabilityCwe.cwe == filters.cwe)
            )
        )
    if filters.vendor is not None or filters.product is not None:
        conditions.append(Vulnerability.id.in_(_users(filters.vendor, filters.product)))
    if filters.kev is not None:
        exploited = Vulnerability.cve_id.in_(known_exploited())
        conditions.append(exploited if filters.kev else sa.not_(is_known_exploited()))
    if filters.epss_min is not None:
        likely = sa.select(EpssScore.vulnerability_id).where(EpssScore.score >= filters.epss_min)
        conditions.append(Vulnerability.id.in_(likely))
    if filters.published_since is not None:
        conditions.append(Vulnerability.published >= filters.published_since)
    if filters.modified_since is not None:
        conditions.append(Vulnerability.last_modified >= filters.modified_since)
    return conditions


def _words(q: str) -> list[search.Condition]:
    """An id's beginning is a range of keys, which are made of the year and the number; words are looked for one by one."""
    found = _ID_PREFIX.fullmatch(q.strip())
    if found is None:
        return [search.contains(Vulnerability.description, word) for word in q.split()]
    year = int(found[1])
    conditions = [Vulnerability.id >= year << 32, Vulnerability.id < (year + 1) << 32]
    if found[2]:
        conditions.append(Vulnerability.cve_id.startswith(f"CVE-{found[1]}-{found[2]}", autoescape=True))
    return conditions


def _users(vendor: str | None, product: str | None) -> sa.Select[int]:
    """Vulnerabilities that name a vendor's product as vulnerable, found by the key that criteria are filed under."""
    key = Criterion.product_key
    condition: search.Condition
    named_vendor, named_product = (value and cpe.quote(value) for value in (vendor, product))
    if named_vendor and named_product:
        condition = key.in_([f"{part}:{named_vendor}:{named_product}" for part in _PARTS])
    elif named_vendor:
        starts = [f"{part}:{named_vendor}:" for part in _PARTS]
        condition = sa.or_(*(key.startswith(start, autoescape=True) for start in starts))
    else:
        condition = key.endswith(f":{named_product}", autoescape=True)
    uses = sa.select(CriterionUse.vulnerability_id).where(CriterionUse.vulnerable)
    return uses.where(CriterionUse.criterion_id.in_(sa.select(Criterion.id).where(condition)))


def get_vulnerability(session: Session, cve_id: str) -> Document:
    """Everything that is known of one vulnerability, its record read. Raises NotFound."""
    row = session.scalar(sa.select(Vulnerability).where(Vulnerability.cve_id == cve_id.upper()))
    record = None if row is None else mirror.record(session, row.id)
    if row is None or record is None:
        raise NotFound("The mirror holds no such vulnerability.")
    columns = {column.key: getattr(row, column.key) for column in sa.inspect(Vulnerability).columns}
    derived = {"exploited_since": row.exploited_since, "epss": row.epss, "kev": _kev(row)}
    return {**columns, **derived, **records.parse(record)}


def _kev(row: Vulnerability) -> KnownExploited | None:
    """CISA's entry: from its own catalogue, else what the record has of it."""
    if row.listed is not None or row.kev_added is None:
        return row.listed
    return KnownExploited(
        cve_id=row.cve_id,
        added=row.kev_added,
        due=row.kev_due,
        name=row.kev_name,
        action=row.kev_action,
        cwes=[],
    )


def match(session: Session, components: Sequence[Mapping[str, Any]]) -> mirror.MatchResult:
    """Match a whole set of components as a scan would, storing nothing. In a reading transaction."""
    return mirror.match(session, _components(components))


def explain(
    session: Session,
    component: Mapping[str, Any],
    cve_id: str,
    others: Iterable[Mapping[str, Any]] = (),
    asset_id: uuid.UUID | None = None,
) -> Document:
    """Why a component, among others of its asset, is affected by a vulnerability, or why not. Raises NotFound.

    With an asset, what its inventory holds stands beside the component, and what was decided about its finding counts.
    """
    cve_id = cve_id.upper()
    components = _components([component, *others])
    decided = None
    if asset_id is not None:
        components += _beside(session, asset_id)
        decided = findings.suppressed(session, asset_id, component_key(components[0]), cve_id)
    found = mirror.explain(session, components, 0, cve_id)
    if found.matches and decided is not None:
        told = f"Suppressed: somebody decided that the finding is {decided}. Otherwise: {found.sentence}"
        found = msgspec.structs.replace(found, matches=False, reason=Reason.SUPPRESSED, sentence=told)
    return {
        "cve_id": cve_id,
        "matches": found.matches,
        "reason": found.reason,
        "sentence": found.sentence,
        "evidence": found.evidence,
        "near_misses": found.near_misses,
        "snapshot": mirror.snapshot(session),
    }


def _beside(session: Session, asset_id: uuid.UUID) -> list[Component]:
    """What an asset consists of, apart from the hosts of a network. Raises NotFound."""
    if session.get(Asset, asset_id) is None:
        raise NotFound("There is no such asset.")
    return [each for each in inventory.load(session, asset_id, InventorySource) if not each.host]


def _components(read: Iterable[Mapping[str, Any]]) -> list[Component]:
    return [
        Component(
            name=each["name"], version=each["version"] or "", purl=each["purl"], cpes=tuple(each["cpes"])
        )
        for each in read
    ]
