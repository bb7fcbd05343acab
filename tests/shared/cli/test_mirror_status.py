"""The status of the mirror as an operator reads it."""

import pytest

from shared.cli.mirror_status import rows, shown


def year(number, count, upstream, missing):
    written = None if upstream is None else "2026-11-29T05:01:02+00:00"
    return {"year": number, "count": count, "upstream": upstream, "upstream_at": written, "missing": missing}


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("last_error", None, "none"),
        ("quarantine", [], "none"),
        ("vulnerabilities", 134485, "134,485"),
        ("running", True, "yes"),
        ("running", False, "no"),
        ("age_seconds", 42.7, "42 s"),
        ("age_seconds", 4544.8, "1 h 15 min"),
        ("age_seconds", 204034.1, "2 d 8 h"),
        ("complete_until", "2026-11-29T04:49:37.088000+00:00", "2026-11-29 04:49:37 UTC"),
        ("reasons", ["It is old.", "It lacks a record."], "It is old.\nIt lacks a record."),
        (
            "years",
            [year(2024, 1200, 1201, 1), year(2025, 7, 7, 0), year(2026, 3, None, None)],
            "2024: 1,200 of 1,201 (1 missing), 2025: 7 of 7, 2026: 3",
        ),
        (
            "years",
            [year(2001, 9, None, None), year(2002, 20, 29, 0)],
            "2001: 9, 2002: 20 (29 in the feed of 2026-11-29, the years before included)",
        ),
        (
            "years",
            [year(2002, 5, 5, 0), year(2003, 8, 6, 0)],
            "2002: 5 of 5, 2003: 8 (6 in the feed of 2026-11-29)",
        ),
        (
            "quarantine",
            [{"cve_id": "CVE-2026-0001", "reason": "it is odd"}, {"cve_id": None, "reason": "it has no id"}],
            "CVE-2026-0001: it is odd\na record without id: it has no id",
        ),
        (
            "last_sync",
            {"id": 7, "error": None, "troubles": {"the NVD API answered 403": 2, "it broke off": 1}},
            "id 7, troubles the NVD API answered 403 (2 times); it broke off",
        ),
        (
            "progress",
            {"stage": "api: everything", "current": 4000, "total": 9000, "eta_seconds": 109.0},
            "stage api: everything, current 4,000, total 9,000, eta 1 min 49 s",
        ),
    ],
)
def test_a_part_of_the_status(name, value, text):
    assert shown(name, value) == text


def test_every_part_has_a_row():
    assert rows({"state": "fresh", "age_seconds": 5.0}) == [("state", "fresh"), ("age", "5 s")]
