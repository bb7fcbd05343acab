"""The page of results."""

from dataclasses import replace
from pathlib import Path

from tests.faults.figures import HEAD, Figure, Result, record

RESULT = Result(Figure("P4", "always", "40 tasks", "40 of 40", kept=True), "sqlite", 7, 12.4)


def rows(page: Path) -> list[list[str]]:
    assert page.read_text().startswith(HEAD)
    return [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in page.read_text().removeprefix(HEAD).splitlines()
    ]


def test_a_row_takes_the_place_of_the_one_before(tmp_path: Path):
    page = tmp_path / "page.md"
    others = [
        replace(RESULT, database="postgresql"),
        replace(RESULT, figure=replace(RESULT.figure, promise="P10")),
        replace(RESULT, figure=replace(RESULT.figure, promise="P4b")),
    ]
    record([RESULT, *others], page)
    record(
        [replace(RESULT, figure=replace(RESULT.figure, reached="39 | 40", kept=False, note="why"), seed=8)],
        page,
    )
    assert [row[:2] + row[4:7] for row in rows(page)] == [
        ["P4", "postgresql", "40 of 40", "kept", "7"],
        ["P4", "sqlite", "39 / 40 (why)", "**missed**", "8"],
        ["P4b", "sqlite", "40 of 40", "kept", "7"],
        ["P10", "sqlite", "40 of 40", "kept", "7"],
    ]
