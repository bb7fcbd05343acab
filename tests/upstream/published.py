"""A fake of those who publish one file at one address, CISA and FIRST: with validators, and faults on a script."""

import gzip
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.upstream.faults import Answer, Fault

KEV = "/feeds/known_exploited_vulnerabilities.json"
EPSS = "/epss_scores-current.csv.gz"


@dataclass
class Publisher:
    """What it publishes and how it behaves; change it while it serves (`tests.upstream.server.serving`)."""

    files: dict[str, bytes] = field(default_factory=dict)
    faults: list[Fault | None] = field(default_factory=list)
    """Each request takes the first one; None is a request without fault."""
    down: Fault | None = None
    """What every request gets."""
    validators: bool = True
    """It sends an ETag."""
    statuses: list[int] = field(default_factory=list)
    """Of its answers."""
    headers: list[dict[str, str]] = field(default_factory=list)
    """Of the requests."""
    url: str = ""

    def answer(self, path: str, _params: dict[str, str], headers: dict[str, str]) -> Answer:
        """Answer one request and note it."""
        fault = self.down or (self.faults.pop(0) if self.faults else None)
        right = self._file(path, headers)
        answer = fault(right) if fault else right
        self.statuses.append(answer.status)
        self.headers.append(headers)
        return answer

    def _file(self, path: str, headers: dict[str, str]) -> Answer:
        if path not in self.files:
            return Answer(404, b"<html>not found</html>", {"Content-Type": "text/html"})
        body = self.files[path]
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if self.validators and headers.get("if-none-match") == etag:
            return Answer(304)
        return Answer(200, body, {"ETag": etag} if self.validators else {})


def entry(cve_id: str, **others: Any) -> dict[str, Any]:
    """An entry of CISA's catalogue."""
    return {
        "cveID": cve_id,
        "vendorProject": "OpenSSL",
        "product": "OpenSSL",
        "vulnerabilityName": "OpenSSL Information Disclosure Vulnerability",
        "dateAdded": "2022-05-04",
        "shortDescription": "The heartbeat trusts the length that it is told.",
        "requiredAction": "Apply updates per vendor instructions.",
        "dueDate": "2022-05-25",
        "knownRansomwareCampaignUse": "Unknown",
        "notes": "https://example.org/advisory",
        "cwes": ["CWE-125"],
        **others,
    }


def catalogue(*entries: Any, released: str = "2026-06-18T17:04:19.9796Z", **others: Any) -> bytes:
    """A catalogue of entries; a CVE id stands for an ordinary one."""
    listed = [entry(each) if isinstance(each, str) else each for each in entries]
    document = {
        "title": "CISA Catalog of Known Exploited Vulnerabilities",
        "catalogVersion": released[:10].replace("-", "."),
        "dateReleased": released,
        "count": len(listed),
        "vulnerabilities": listed,
    }
    return json.dumps(document | others).encode()


def scores(*rows: str, date: str = "2026-06-18T12:00:00Z", version: str = "v2025.03.14") -> bytes:
    """FIRST's file of scores, rows being `CVE,score,percentile`."""
    return gzip.compress(plain_scores(rows, date, version), 1, mtime=0)


def plain_scores(rows: Iterable[str], date: str, version: str) -> bytes:
    """The same, as it is before it is packed."""
    lines = [f"#model_version:{version},score_date:{date}", "cve,epss,percentile", *rows]
    return ("\n".join(lines) + "\n").encode()
