"""FIRST's EPSS scores of one day, read as they come in.

CSV (https://www.first.org/epss/data_stats): a comment `#model_version:...,score_date:...`, a line that names the columns,
then a line for each CVE, some 300,000. They are kept as columns of numbers: 24 bytes for a CVE.
"""

import datetime as dt
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from shared.models.mirror import vulnerability_id
from worker_service.clients.http import Spoiled
from worker_service.clients.nvd_text import moment

COLUMNS = ("cve", "epss", "percentile")
LONGEST_LINE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of one day, column by column."""

    version: str | None
    """Of the model."""
    released_at: dt.datetime | None
    ids: "array[int]" = field(default_factory=lambda: array("q"))
    """As `vulnerability_id` makes them; one that is in the file twice is here twice."""
    scores: "array[float]" = field(default_factory=lambda: array("d"))
    percentiles: "array[float]" = field(default_factory=lambda: array("d"))
    skipped: Counter[str] = field(default_factory=Counter)
    """Why lines could not be used, with how many."""

    def __len__(self) -> int:
        return len(self.ids)


def read(chunks: Iterable[bytes]) -> Scores:
    """Read the file. Raises Spoiled, and nothing else, when it is none, is not whole or holds no usable line."""
    lines = _lines(chunks)
    about: dict[str, str] = {}
    line = next(lines, "").removeprefix("\ufeff")
    while line.startswith("#"):
        about |= _about(line)
        line = next(lines, "")
    if line.lstrip().startswith("<"):
        raise Spoiled("answered an HTML page where the scores belong")
    names = [name.lower() for name in _cells(line)]
    if not set(COLUMNS) <= set(names):
        raise Spoiled("answered something that is no file of scores: it has no columns cve, epss, percentile")
    scores = Scores(about.get("model_version"), moment(about.get("score_date")))
    places = [names.index(name) for name in COLUMNS]
    for line in lines:
        if line and (reason := _add(scores, _cells(line), places)):
            scores.skipped[reason] += 1
    if not len(scores):
        raise Spoiled("answered a file without a usable score")
    return scores


def _add(scores: Scores, cells: list[str], places: list[int]) -> str | None:
    """Take one line, or say why it cannot be used."""
    if len(cells) <= max(places):
        return "too few columns"
    cve_id, score, percentile = (cells[place] for place in places)
    key = vulnerability_id(cve_id.upper())
    if key is None:
        return "no usable CVE id"
    try:
        numbers = float(score), float(percentile)
    except ValueError:
        return "a score or percentile that is no number"
    if not all(0 <= number <= 1 for number in numbers):
        return "a score or percentile that is not from 0 to 1"
    scores.ids.append(key)
    scores.scores.append(numbers[0])
    scores.percentiles.append(numbers[1])
    return None


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """The lines without their ends. Raises Spoiled when one has none: the file breaks off, or is something else."""
    rest, count = b"", 0
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        count += len(whole)
        for line in whole:
            yield line.decode("utf-8", "replace").rstrip("\r")
        if len(rest) > LONGEST_LINE:
            break
    if rest and count:
        raise Spoiled("gave a file that breaks off in the middle of a line")
    if rest.lstrip()[:1] == b"<":
        raise Spoiled("answered an HTML page where the scores belong")
    if rest:
        raise Spoiled("answered something that is no file of scores: it has no lines")


def _cells(line: str) -> list[str]:
    return [cell.strip(' "') for cell in line.split(",")]


def _about(line: str) -> dict[str, str]:
    """What the comment says: `#name:value,name:value`."""
    pairs = (part.partition(":") for part in line.lstrip("#").split(","))
    return {name.strip(): value.strip() for name, _, value in pairs}
