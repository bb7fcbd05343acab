"""CVE records, made with what matters to the test, and a mirror that holds them."""

import json
from typing import Any

from shared import database
from shared.database import Sessions
from shared.models.mirror import Sync, SyncKind
from worker_service.handlers.nvd import batches
from worker_service.handlers.nvd.records import convert, digest

Node = dict[str, Any]


def vulnerable(criteria: str, **bounds: str) -> Node:
    return {"vulnerable": True, "criteria": criteria, **bounds}


def platform(criteria: str, **bounds: str) -> Node:
    """Where the vulnerable has to run."""
    return {"vulnerable": False, "criteria": criteria, **bounds}


def any_of(*matches: Node) -> Node:
    return {"operator": "OR", "negate": False, "cpeMatch": list(matches)}


def cve(cve_id: str, *nodes: Node, operator: str = "OR", score: float | None = 9.8, **fields: Any) -> Node:
    cvss = {"type": "Primary", "cvssData": {"version": "3.1", "baseScore": score}}
    return {
        "id": cve_id,
        "lastModified": "2026-01-01T00:00:00.000",
        "vulnStatus": "Analyzed",
        "metrics": {"cvssMetricV31": [cvss]} if score is not None else {},
        "configurations": [{"operator": operator, "nodes": list(nodes)}] if nodes else [],
        **fields,
    }


def fill(sessions: Sessions, *records: Node) -> int:
    """Put records into the mirror as one batch; how many really changed."""
    raw = [json.dumps({"cve": record}).encode() for record in records]
    with database.transaction(sessions) as session:
        sync = Sync(kind=SyncKind.FEED, source="test", started_at=database.now(session))
        session.add(sync)
        session.flush()
        converted = [convert(each, digest(each)) for each in raw]
        return batches.apply(session, converted, sync.id)
