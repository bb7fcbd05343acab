"""What a CVE record of the NVD says beyond the columns of its row: pure, from the record as it came.

The NVD adds fields and changes types without notice: what has another shape is passed over, the rest is given.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from shared.models.base import Document


def parse(record: bytes) -> Document:
    """What the record says, in our words; the NVD's own words for configurations and the CNA's data."""
    element = msgspec.json.decode(record)
    cve = _object(_object(element).get("cve"))
    return {
        "source": _text(cve.get("sourceIdentifier")),
        "descriptions": [
            {"lang": _text(each.get("lang")), "value": _text(each.get("value"))}
            for each in _objects(cve.get("descriptions"))
        ],
        "cvss": list(_assessments(cve.get("metrics"))),
        "weaknesses": list(_weaknesses(cve.get("weaknesses"))),
        "references": [
            {
                "url": _text(each.get("url")),
                "source": _text(each.get("source")),
                "tags": [tag for tag in _list(each.get("tags")) if isinstance(tag, str)],
            }
            for each in _objects(cve.get("references"))
        ],
        "ssvc": _ssvc(cve.get("metrics")),
        "configurations": list(_objects(cve.get("configurations"))),
        "affected": list(_objects(cve.get("affected"))),
    }


def _assessments(metrics: Any) -> Iterator[Document]:
    """Every CVSS assessment, in the order of the record."""
    for entries in _object(metrics).values():
        for each in _objects(entries):
            data = _object(each.get("cvssData"))
            score = data.get("baseScore")
            if not isinstance(score, int | float):
                continue
            severity = data.get("baseSeverity") or each.get("baseSeverity")  # CVSS 2.0 has it outside
            yield {
                "version": _text(data.get("version")),
                "source": _text(each.get("source")),
                "type": _text(each.get("type")),
                "score": float(score),
                "severity": severity.lower() if isinstance(severity, str) else None,
                "vector": _text(data.get("vectorString")),
            }


def _ssvc(metrics: Any) -> list[Document]:
    entries = _object(metrics).items()
    return [each for name, listed in entries if name.lower().startswith("ssvc") for each in _objects(listed)]


def _weaknesses(weaknesses: Any) -> Iterator[Document]:
    for each in _objects(weaknesses):
        for description in _objects(each.get("description")):
            if cwe := _text(description.get("value")):
                yield {"cwe": cwe, "source": _text(each.get("source")), "type": _text(each.get("type"))}


def _object(value: Any) -> Document:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(value: Any) -> Iterator[Document]:
    return (each for each in _list(value) if isinstance(each, dict))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
