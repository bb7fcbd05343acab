"""Which records a question to the NVD's API 2.0 is about (https://nvd.nist.gov/developers/vulnerabilities)."""

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from api_service.services import search
from shared import mirror, serving
from shared.models.mirror import Vulnerability, VulnerabilityCwe, vulnerability_id
from shared.serving import Standing

_METRICS = {
    2: frozenset({"cvssMetricV2"}),
    3: frozenset({"cvssMetricV30", "cvssMetricV31"}),
    4: frozenset({"cvssMetricV40"}),
}
"""Where a record has the assessments of each generation of CVSS."""

Window = tuple[dt.datetime, dt.datetime]
"""Both ends belong to it."""


@dataclass(frozen=True)
class Question:
    """What is asked for; what is left out is everything."""

    cve_id: str | None = None
    last_modified: Window | None = None
    published: Window | None = None
    no_rejected: bool = False
    has_kev: bool = False
    cwe_id: str | None = None
    keywords: str | None = None
    """Each begins a word of the description."""
    exact: bool = False
    """The keywords are a phrase."""
    cpe_name: str | None = None
    is_vulnerable: bool = False
    """With `cpe_name`: only what names it as vulnerable, not as a platform."""
    severities: tuple[tuple[int, str], ...] = ()
    """Generation of CVSS, and its word."""
    source: str | None = None

    @property
    def about_content(self) -> bool:
        """It asks for what only a record that can be read tells."""
        wanted = (self.published, self.cwe_id, self.keywords, self.cpe_name, self.source)
        return self.has_kev or bool(self.severities) or any(each is not None for each in wanted)


def find(session: Session, question: Question, standing: Standing) -> list[int]:
    """Keys of the CVEs that are meant, in the order of their ids: no record moves to another place when it changes.

    A window of `lastModified` also has what arrived here in it, dated before it; see `shared.serving`.
    """
    found = set(_usable(session, question, standing))
    if not question.about_content:
        found |= _unusable(session, question, standing)
    ids = sorted(found)
    if question.keywords is not None:
        ids = _worded(session, ids, question.keywords, exact=question.exact)
    if question.severities or question.source is not None:
        ids = _judged(session, ids, question)
    return ids


def _usable(session: Session, question: Question, standing: Standing) -> Iterator[int]:
    statement = sa.select(Vulnerability.id).where(*_conditions(session, question))
    if question.last_modified is None:
        yield from session.scalars(statement)
        return
    since, until = question.last_modified
    yield from session.scalars(statement.where(Vulnerability.last_modified.between(since, until)))
    late = Vulnerability.id.in_(serving.arrivals(standing, since, until))
    yield from session.scalars(statement.where(Vulnerability.last_modified < since, late))


def _unusable(session: Session, question: Question, standing: Standing) -> set[int]:
    """Records in quarantine: nobody can tell when they were modified, but when they came."""
    if question.last_modified is None:
        found = serving.quarantined(session)
    else:
        since, until = question.last_modified
        found = serving.quarantined_between(session, standing, since, until)
    return found if question.cve_id is None else found & {vulnerability_id(question.cve_id)}


def _conditions(session: Session, question: Question) -> list[search.Condition]:
    conditions: list[search.Condition] = []
    if question.cve_id is not None:
        conditions.append(Vulnerability.id == vulnerability_id(question.cve_id))
    if question.published is not None:
        conditions.append(Vulnerability.published.between(*question.published))
    if question.no_rejected:
        conditions.append(sa.not_(Vulnerability.rejected))
    if question.has_kev:
        conditions.append(Vulnerability.kev_added.is_not(None))
    if question.cwe_id is not None:
        cwes = sa.select(VulnerabilityCwe.vulnerability_id).where(VulnerabilityCwe.cwe == question.cwe_id)
        conditions.append(Vulnerability.id.in_(cwes))
    if question.keywords is not None:
        words = [question.keywords] if question.exact else question.keywords.split()
        conditions += [search.contains(Vulnerability.description, word) for word in words]
    if question.cpe_name is not None:
        named = mirror.naming(session, question.cpe_name, vulnerable_only=question.is_vulnerable)
        conditions.append(Vulnerability.id.in_(named))
    return conditions


def _worded(session: Session, ids: Sequence[int], keywords: str, *, exact: bool) -> list[int]:
    """Those in whose description every keyword (or the phrase) begins a word."""
    words = [keywords] if exact else keywords.split()
    patterns = [re.compile(rf"(?<!\w){re.escape(word)}", re.IGNORECASE) for word in words]
    found = []
    for _, chunk in serving.chunks(ids):
        columns = sa.select(Vulnerability.id, Vulnerability.description)
        rows = session.execute(columns.where(Vulnerability.id.in_(chunk)))
        found += [key for key, text in rows if all(pattern.search(text) for pattern in patterns)]
    return sorted(found)


def _judged(session: Session, ids: Sequence[int], question: Question) -> list[int]:
    """Those whose record says what is asked for: the columns have only the one assessment that is shown."""
    found: list[int] = []
    for _, chunk in serving.chunks(ids):
        records = serving.elements(session, chunk)
        found += [key for key, record in zip(chunk, records, strict=True) if _says(record, question)]
    return found


def _says(record: bytes, question: Question) -> bool:
    hints = [msgspec.json.encode(word) for _, word in question.severities]
    if not all(hint in record for hint in hints):  # decoding is the dear part
        return False
    cve = msgspec.json.decode(record)["cve"]
    if question.source is not None and cve.get("sourceIdentifier") != question.source:
        return False
    return all((generation, word) in _assessed(cve) for generation, word in question.severities)


def _assessed(cve: Any) -> set[tuple[int, str]]:
    """Every severity that somebody gave the CVE, with the generation of CVSS; what has another shape is passed over."""
    found = set()
    metrics = cve.get("metrics")
    for generation, names in _METRICS.items():
        for name in names if isinstance(metrics, dict) else ():
            for each in metrics.get(name) or ():
                data = each.get("cvssData") or {}
                found.add((generation, str(data.get("baseSeverity") or each.get("baseSeverity"))))
    return found
