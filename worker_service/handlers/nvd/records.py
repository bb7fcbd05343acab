"""From one NVD 2.0 record to the rows of the mirror: pure, no database.

Only what the mirror cannot do without is demanded (an id, a time of modification, configurations that can be evaluated if
there are any); everything else is used as far as it is understood.
"""

import datetime as dt
import functools
import hashlib
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from shared.errors import Invalid
from shared.matching import affected, configurations
from shared.matching.criterion import UNREADABLE, Criterion
from shared.models.finding import Severity
from shared.models.mirror import vulnerability_id
from worker_service.clients.nvd_text import moment
from worker_service.handlers.nvd import shape
from worker_service.handlers.nvd.shape import Assessment, Cve, Text, Weakness, name

CONVERSION = b"2"
"""Raise it when the rows made from a record change: unchanged records are then converted again."""

REJECTED = "Rejected"
ANALYSED = frozenset({"Analyzed", "Modified"})
"""Values of `vulnStatus` after the NVD's analysis (https://nvd.nist.gov/vuln/vulnerability-status)."""

_CWE = re.compile(r"(NVD-)?CWE-[A-Za-z0-9]{1,16}", re.ASCII)
_LONGEST_CRITERIA = 1024
"""NISTIR 7695 sets no limit; an index of PostgreSQL does (2,704 bytes), and the longest of the NVD has under 300."""

_EMPTY = frozenset({b"null", b"[]"})
_SEVERITIES = {severity.value: severity for severity in Severity}


class FiledCriterion(msgspec.Struct, frozen=True, gc=False):
    """A criterion with its id and where it is looked up."""

    id: int
    criterion: Criterion
    product_key: str
    version_key: str


class Converted(msgspec.Struct):
    """A record, ready to be written."""

    id: int
    """The vulnerability's primary key."""
    vulnerability: dict[str, Any]
    """The columns of `Vulnerability`, all but `snapshot`."""
    criteria: list[FiledCriterion]
    uses: dict[int, bool]
    """Criterion id -> whether some node names it as vulnerable."""
    cwes: list[str]
    record: bytes


class Chosen(msgspec.Struct, frozen=True, gc=False):
    """The assessment of a vulnerability's severity that is shown."""

    severity: Severity = Severity.UNKNOWN
    score: float | None = None
    version: str | None = None
    vector: str | None = None


__all__ = [
    "CONVERSION",
    "Converted",
    "FiledCriterion",
    "choose",
    "convert",
    "criterion_id",
    "digest",
    "name",
    "uses",
]


def digest(record: bytes) -> bytes:
    """Tells records apart; `record` is without insignificant white space, so a feed and the API give the same."""
    return hashlib.sha256(CONVERSION + record).digest()[:16]


def convert(record: bytes, record_digest: bytes) -> Converted:
    """Convert one record, of which the digest is known. Raises Invalid, saying why, if it cannot be used."""
    cve = shape.read(record)
    key = vulnerability_id(cve.id)
    if key is None:
        raise Invalid(f"not a CVE id: {cve.id!r}")
    modified = moment(cve.last_modified)
    if modified is None:
        raise Invalid(f"no usable lastModified: {cve.last_modified!r}")
    status = _text(cve.vuln_status) or ""
    rejected = status == REJECTED
    tree, criteria, used = ((), [], {}) if rejected else _tree(cve)
    chosen = choose(cve.metrics)
    columns = {
        "id": key,
        "cve_id": cve.id,
        "year": int(cve.id[4:8]),
        "status": status,
        "rejected": rejected,
        "analysed": status in ANALYSED or any(not each.cna for each in tree),
        "published": moment(cve.published) or modified,
        "last_modified": modified,
        "severity": chosen.severity,
        "score": chosen.score,
        "cvss_version": chosen.version,
        "cvss_vector": chosen.vector,
        "kev_added": _date(cve.cisa_exploit_add),
        "kev_due": _date(cve.cisa_action_due),
        "kev_name": _text(cve.cisa_vulnerability_name),
        "kev_action": _text(cve.cisa_required_action),
        "has_affected": bytes(cve.affected) not in _EMPTY,
        "digest": record_digest,
        "tree": configurations.encode(tree) if tree else None,
        "description": _description(cve.descriptions),
    }
    return Converted(key, columns, criteria, used, _cwes(cve.weaknesses), record)


def choose(metrics: Mapping[str, list[Assessment]]) -> Chosen:
    """The assessment of the newest CVSS version, within it the Primary one, within those the first."""
    best, best_rank = Chosen(), (-1.0, False)
    for entries in metrics.values():
        for assessment in entries:
            cvss = assessment.cvss_data
            if cvss is None or cvss.base_score is None or not 0 <= cvss.base_score <= 10:
                continue
            rank = (_number(cvss.version), assessment.type == "Primary")
            if rank > best_rank:
                severity = _severity(cvss.base_severity or assessment.base_severity, cvss.base_score, rank[0])
                best = Chosen(severity, cvss.base_score, _text(cvss.version), _text(cvss.vector_string))
                best_rank = rank
    return best


def _severity(label: str | None, score: float, version: float) -> Severity:
    """What the assessment calls itself, otherwise by score (CVSS 3.1 section 5; for 2.0 the NVD's three ranges)."""
    if label is not None and (named := _SEVERITIES.get(label.lower())) is not None:
        return named
    if score >= 9 and version >= 3:
        return Severity.CRITICAL
    if score >= 7:
        return Severity.HIGH
    if score >= 4:
        return Severity.MEDIUM
    return Severity.NONE if score == 0 and version >= 3 else Severity.LOW


_Filed = tuple[configurations.Tree, list[FiledCriterion], dict[int, bool]]
"""A tree with ids in place of numbers, its criteria, and its uses: criterion id -> named as vulnerable."""


def _tree(cve: Cve) -> _Filed:
    """The record's tree; that of the CNA's data where the NVD's names nothing that can be compared.

    Decides what `affected.tree_of` decides, with the keys at hand.
    """
    first = _filed(*configurations.from_record(cve.configurations))
    _, criteria, used = first
    readable = {each.id for each in criteria if each.product_key != UNREADABLE}
    if any(vulnerable and key in readable for key, vulnerable in used.items()):
        return first
    second = _filed(*affected.from_record(cve.affected))
    if second[1]:
        return second
    if criteria and not readable:
        raise Invalid("its configurations name no criterion that can be read")
    return first


def _filed(tree: configurations.Tree, criteria: list[Criterion]) -> _Filed:
    if not criteria:
        return (), [], {}
    filed = [_file(criterion) for criterion in criteria]
    tree = configurations.renumber(tree, [each.id for each in filed])
    return tree, filed, uses(tree)


def uses(tree: configurations.Tree) -> dict[int, bool]:
    """The criteria of a tree, and whether some node names each as vulnerable."""
    found: dict[int, bool] = {}
    for configuration in tree:
        for node in configuration.nodes:
            _add_uses(node, found)
    return found


def _add_uses(node: configurations.Node, found: dict[int, bool]) -> None:
    for operand in node.operands:
        if isinstance(operand, int):
            found[operand] = True
        else:
            found.setdefault(operand.criterion, False)
    for child in node.children:
        _add_uses(child, found)


@functools.lru_cache(maxsize=1 << 16)
def _file(criterion: Criterion) -> FiledCriterion:
    """Where a criterion goes; most of a feed's uses are of criteria seen shortly before."""
    if len(criterion.criteria) > _LONGEST_CRITERIA:
        raise Invalid(f"a criterion has more than {_LONGEST_CRITERIA} characters")
    product_key, version_key = criterion.index_key
    return FiledCriterion(criterion_id(criterion, product_key), criterion, product_key, version_key)


def criterion_id(criterion: Criterion, product_key: str) -> int:
    """A criterion's id: 16 bits of its product's hash, then 47 bits of its own (string and range).

    Made from the content, so that no key is read back. The product comes first so that criteria of a product, and their
    uses, lie side by side in the database: a batch touches fewer pages, and a scan reads fewer. The NVD has under a
    million criteria, and two of one bucket share 47 bits with a chance of one in a million; the insert notices it.
    """
    text = "\0".join(
        (
            criterion.criteria,
            criterion.version_start_including or "",
            criterion.version_start_excluding or "",
            criterion.version_end_including or "",
            criterion.version_end_excluding or "",
        )
    )
    content = text.encode("utf-8", "surrogatepass")
    bucket = zlib.crc32(product_key.encode("utf-8", "surrogatepass")) & 0xFFFF
    return bucket << 47 | int.from_bytes(hashlib.sha256(content).digest()[:6]) >> 1


def _cwes(weaknesses: Iterable[Weakness]) -> list[str]:
    values = {text.value for weakness in weaknesses for text in weakness.description}
    return sorted(filter(_CWE.fullmatch, values))


def _description(descriptions: Iterable[Text]) -> str:
    return next((_text(each.value) or "" for each in descriptions if each.lang.startswith("en")), "")


def _text(value: str | None) -> str | None:
    """A string that every database can hold (PostgreSQL has no place for NUL); None for an empty one."""
    return value.replace("\0", "\ufffd") if value else None


def _number(version: str) -> float:
    try:
        return float(version)
    except ValueError:
        return 0.0


def _date(text: str | None) -> dt.date | None:
    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text[:10])
    except ValueError:
        return None
