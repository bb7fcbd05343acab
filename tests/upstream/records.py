"""CVE records of the NVD's 2.0 shape, made up deterministically from a seed."""

import datetime as dt
import random
from typing import Any

Record = dict[str, Any]

OLDEST = 2002
_PRODUCTS = ("httpd", "kernel", "openssl", "viewer", "gateway", "ledger", "browser", "queue")


def text(moment: dt.datetime) -> str:
    """A time as the NVD writes it: UTC, milliseconds, no zone."""
    return moment.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")


def make_records(seed: int, count: int, until: dt.datetime) -> list[Record]:
    """`count` records, modified within the two years before `until`, spread over the CVE years from 2002 on."""
    chance = random.Random(seed)
    records = []
    for number in range(count):
        modified = until - dt.timedelta(seconds=chance.randrange(60, 2 * 365 * 86_400))
        year = chance.randrange(OLDEST, until.year + 1)
        records.append(make_record(f"CVE-{year}-{number + 1:04}", modified, chance))
    return records


def make_record(cve_id: str, modified: dt.datetime, chance: random.Random) -> Record:
    """One ordinary record: every tenth is rejected, every fifth is not analysed."""
    kind = chance.randrange(10)
    record: Record = {
        "id": cve_id,
        "sourceIdentifier": "cve@example.org",
        "published": text(modified - dt.timedelta(days=chance.randrange(1, 900))),
        "lastModified": text(modified),
        "vulnStatus": "Rejected" if kind == 0 else "Awaiting Analysis" if kind < 3 else "Analyzed",
        "cveTags": [],
        "descriptions": [{"lang": "en", "value": f"Flaw {chance.randrange(10**9)} in {cve_id}. Grüße."}],
        "metrics": {},
        "references": [{"url": f"https://example.org/{cve_id}", "source": "cve@example.org"}],
    }
    if kind >= 3:
        record["metrics"] = {"cvssMetricV31": [_cvss(chance)]}
        record["weaknesses"] = [
            {"source": "a", "type": "Primary", "description": [{"lang": "en", "value": "CWE-79"}]}
        ]
        record["configurations"] = [_configuration(chance)]
    return record


def _cvss(chance: random.Random) -> Record:
    score = chance.randrange(10, 100) / 10
    severity = "CRITICAL" if score >= 9 else "HIGH" if score >= 7 else "MEDIUM" if score >= 4 else "LOW"
    return {
        "source": "nvd@nist.gov",
        "type": "Primary",
        "cvssData": {
            "version": "3.1",
            "vectorString": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            "baseScore": score,
            "baseSeverity": severity,
        },
    }


def _configuration(chance: random.Random) -> Record:
    product, major = chance.choice(_PRODUCTS), chance.randrange(1, 9)
    matches: list[Record] = [
        {
            "vulnerable": True,
            "criteria": f"cpe:2.3:a:example:{product}:{major}.{minor}:*:*:*:*:*:*:*",
            "matchCriteriaId": f"{chance.getrandbits(128):032X}",
        }
        for minor in range(chance.randrange(1, 4))
    ]
    if chance.random() < 0.4:
        matches[0]["criteria"] = f"cpe:2.3:a:example:{product}:*:*:*:*:*:*:*:*"
        matches[0]["versionEndExcluding"] = f"{major}.5"
    return {"nodes": [{"operator": "OR", "negate": False, "cpeMatch": matches}]}


def with_new_enum(record: Record) -> Record:
    """The record with values that no schema knows yet; it can be used all the same."""
    odd = {"type": "Tertiary", "cvssData": {"version": "5.0", "baseScore": 7.5, "baseSeverity": "SPICY"}}
    return record | {
        "vulnStatus": "Under Reconsideration",
        "metrics": {"cvssMetricV50": [odd]},
        "somethingNew": {"nested": [1, None, True]},
    }


def without_cpe_match(record: Record) -> Record:
    """The record with a node that lacks `cpeMatch`, as the NVD has served."""
    return record | {"configurations": [{"nodes": [{"operator": "OR", "negate": False}]}]}


def unusable(record: Record) -> Record:
    """The record with configurations of which nothing can be read: a case for the quarantine."""
    nodes = [{"operator": "OR", "cpeMatch": [{"vulnerable": True, "criteria": "what"}]}]
    return record | {"vulnStatus": "Analyzed", "configurations": [{"nodes": nodes}]}
