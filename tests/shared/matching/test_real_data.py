"""The rules on the NVD's real records; skipped where those are not at hand."""

import gzip
import os
import random
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.matching import affected, configurations, cpe
from shared.matching.component import Component
from shared.matching.configurations import Platform
from shared.matching.criterion import UNREADABLE
from shared.matching.match import Candidate, match
from tests.shared.matching.test_configurations import agree

ROOT = Path(__file__).parents[3]
DATA = ROOT / os.environ.get("VEDETTE_TEST_DATA", "../shared/data")
FEEDS = sorted((DATA / "nvd").glob("nvdcve-2.0-2*.json.gz"))

pytestmark = pytest.mark.skipif(
    not FEEDS, reason="no NVD feeds: VEDETTE_TEST_DATA names no folder that has them"
)


class Record(msgspec.Struct):
    id: str
    configurations: list[dict[str, Any]] = []


class Item(msgspec.Struct):
    cve: Record


class Feed(msgspec.Struct):
    vulnerabilities: list[Item]


def records(path):
    feed = msgspec.json.decode(gzip.decompress(path.read_bytes()), type=Feed)
    return [each.cve for each in feed.vulnerabilities]


def has_and(configuration):
    return configuration.get("operator") == "AND" or any(
        each.get("operator") == "AND" for each in configuration["nodes"]
    )


@pytest.mark.parametrize("path", FEEDS, ids=lambda path: path.name[11:15])
def test_brute_force_agrees_on_every_and_configuration(path):
    """With what is known of each operand drawn at random, the same in every run."""
    count = 0
    for record in records(path):
        for configuration in filter(has_and, record.configurations):
            count += 1
            entries = sum(len(node["cpeMatch"]) for node in configuration["nodes"])
            agree({"negate": False, **configuration}, _states(record.id, entries))
    assert count


def _states(seed, entries):
    """True, false or unknown for each entry: at most four unknowns, of which every combination is tried."""
    drawn = {}
    source = random.Random(zlib.crc32(seed.encode()))

    def known(entry):
        key = (entry["criteria"], entry.get("versionEndExcluding"), entry["vulnerable"])
        if key not in drawn:
            unsure = source.random() < 3 / max(entries, 6) and list(drawn.values()).count(None) < 4
            drawn[key] = None if unsure else source.random() < 0.3
        return drawn[key]

    return known


@pytest.mark.parametrize("path", FEEDS[::4], ids=lambda path: path.name[11:15])
def test_every_name_is_read_and_every_named_version_meets_its_own_criterion(path):
    for record in records(path):
        tree, criteria = configurations.from_record(record.configurations)
        for _, operand in configurations.operands(tree):
            criterion = criteria[operand.criterion if isinstance(operand, Platform) else operand]
            assert criterion.index_key[0] != UNREADABLE, criterion.criteria
            assert str(cpe.parse(criterion.criteria)) == criterion.criteria.lower()


@pytest.mark.parametrize("path", FEEDS[1::6], ids=lambda path: path.name[11:15])
def test_a_component_named_as_a_criterion_meets_it(path):
    for record in records(path)[::50]:
        tree, criteria = configurations.from_record(record.configurations)
        numbered = dict(enumerate(criteria))
        vulnerable = [operand for _, operand in configurations.operands(tree) if isinstance(operand, int)]
        for number in vulnerable[:5]:
            if criteria[number].has_range:
                continue
            inventory = [Component(cpes=(criteria[number].criteria,))]
            platforms = [
                Component(cpes=(criteria[each.criterion].criteria,))
                for _, each in configurations.operands(tree)
                if isinstance(each, Platform)
            ]
            others = [Component(cpes=(criteria[each].criteria,)) for each in vulnerable]
            found = match(inventory + platforms + others, numbered, [Candidate(1, tree)])
            assert any(each.component == 0 for each in found), criteria[number]


def test_log4shell_by_the_cnas_own_data():
    """CVE-2021-44228 as the NVD served it in 2026; affected up to 2.14.1 with two gaps for back-ported fixes."""
    path = DATA / "nvd-api" / "page-with-affected-and-ssvc.json"
    if not path.exists():
        pytest.skip(f"{path.name} is not at hand")
    (item,) = msgspec.json.decode(path.read_bytes())["vulnerabilities"]
    tree, criteria = affected.from_record(item["cve"]["affected"])
    versions = ["2.0-beta8", "2.0-beta9", "2.3.1", "2.12.1", "2.12.2", "2.14.1", "2.15.0"]
    components = [
        Component("log4j", each, cpes=(f"cpe:2.3:a:apache:log4j2:{each}:*:*:*:*:*:*:*",)) for each in versions
    ]

    found = {each.component for each in match(components, dict(enumerate(criteria)), [Candidate(1, tree)])}

    assert [versions[index] for index in sorted(found)] == ["2.0-beta9", "2.12.1", "2.14.1"]
