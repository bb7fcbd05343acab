"""CISA's catalogue of known exploited vulnerabilities, read tolerantly.

One JSON object whose `vulnerabilities` is a list (https://www.cisa.gov/known-exploited-vulnerabilities-catalog has its
schema). Fields that are not known are passed over, an entry that cannot be used is counted with the reason.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.models.mirror import vulnerability_id
from worker_service.clients.http import Spoiled
from worker_service.clients.nvd_text import moment


@dataclass(frozen=True, slots=True)
class Entry:
    """A vulnerability that CISA knows to be exploited."""

    cve_id: str
    added: dt.date
    due: dt.date | None
    ransomware: bool
    vendor: str | None
    product: str | None
    name: str | None
    action: str | None
    notes: str | None
    cwes: list[str]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A whole catalogue."""

    version: str | None
    released_at: dt.datetime | None
    entries: dict[str, Entry]
    """By CVE id."""
    skipped: Counter[str]
    """Why entries could not be used, with how many."""

    def __len__(self) -> int:
        return len(self.entries)


def read(chunks: Iterable[bytes]) -> Catalogue:
    """Read a catalogue. Raises Spoiled, and nothing else, when it is none, is not whole or holds no usable entry."""
    document = _decode(b"".join(chunks))
    listed = document.get("vulnerabilities")
    if not isinstance(listed, list):
        raise Spoiled("answered JSON that is no catalogue: it has no list `vulnerabilities`")
    count = document.get("count")
    if isinstance(count, int) and count != len(listed):
        raise Spoiled(f"says that it has {count} entries and gives {len(listed)}")
    entries: dict[str, Entry] = {}
    skipped: Counter[str] = Counter()
    for each in listed:
        entry = _entry(each)
        if isinstance(entry, str):
            skipped[entry] += 1
        elif entry.cve_id in entries:
            skipped["listed twice"] += 1
        else:
            entries[entry.cve_id] = entry
    if not entries:
        raise Spoiled("answered a catalogue without a usable entry")
    version = _text(document.get("catalogVersion"))
    return Catalogue(version, moment(document.get("dateReleased")), entries, skipped)


def _decode(body: bytes) -> dict[str, Any]:
    if body.lstrip()[:1] == b"<":
        raise Spoiled("answered an HTML page where the catalogue belongs")
    try:
        document = msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Spoiled("answered something that is no JSON, or breaks off") from None
    if not isinstance(document, dict):
        raise Spoiled("answered JSON that is no catalogue")
    return document


def _entry(value: Any) -> Entry | str:
    """The entry, or why it is none."""
    if not isinstance(value, dict):
        return "no object"
    cve_id = _text(value.get("cveID"))
    cve_id = cve_id.strip().upper() if cve_id else None
    if cve_id is None or vulnerability_id(cve_id) is None:
        return "no usable cveID"
    added = _date(value.get("dateAdded"))
    if added is None:
        return "no usable dateAdded"
    cwes = value.get("cwes")
    return Entry(
        cve_id=cve_id,
        added=added,
        due=_date(value.get("dueDate")),
        ransomware=value.get("knownRansomwareCampaignUse") == "Known",
        vendor=_text(value.get("vendorProject")),
        product=_text(value.get("product")),
        name=_text(value.get("vulnerabilityName")),
        action=_text(value.get("requiredAction")),
        notes=_text(value.get("notes")),
        cwes=[text for cwe in cwes if (text := _text(cwe))] if isinstance(cwes, list) else [],
    )


def _text(value: Any) -> str | None:
    """A text without what PostgreSQL cannot hold; None if there is none."""
    return value.replace("\0", "") or None if isinstance(value, str) else None


def _date(value: Any) -> dt.date | None:
    try:
        return dt.date.fromisoformat(value)
    except (TypeError, ValueError):
        return None
