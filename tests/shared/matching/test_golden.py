"""What matching finds in real SBOMs, against a list that people went through: one line per component and certainty.

The golden files hold every match in the NVD's feeds that the tests' real data have. Where certainty is `confirmed` or
`likely`, each was compared with the text of the CVE. After a change of the rules, look at the difference, then write
the files anew with ``VEDETTE_WRITE_GOLDEN=1``.
"""

import difflib
import gzip
import os
import re
from collections import defaultdict
from pathlib import Path

import msgspec
import pytest

from shared import sbom
from shared.matching import configurations
from shared.matching.compare import Inventory, compare_criteria
from shared.matching.component import Component
from shared.matching.criterion import Criterion
from shared.matching.match import Candidate, match_candidates

SBOMS = {
    "dropwizard": "dropwizard-1.3.15.cdx.json",
    "juice-shop": "juice-shop-11.1.2.cdx.json",
    "keycloak": "keycloak-10.0.2.cdx.json",
    "laravel": "syft-bitnami_laravel.spdx.json",
    "miniconda3": "syft-continuumio_miniconda3.spdx.json",
}
YEARS = (*range(2002, 2019), 2026)
GOLDEN = Path(__file__).parent / "golden"


class Record(msgspec.Struct):
    id: str
    configurations: msgspec.Raw = msgspec.Raw(b"[]")


class Item(msgspec.Struct):
    cve: Record


class Feed(msgspec.Struct):
    vulnerabilities: list[Item]


@pytest.fixture(scope="module")
def inventories(data_dir):
    folder = data_dir / "sboms"
    if not all((folder / name).is_file() for name in SBOMS.values()):
        pytest.skip("not all of the SBOMs are there")
    return {name: Inventory(components(folder / file)) for name, file in SBOMS.items()}


def components(path):
    document = sbom.read(path.read_bytes())
    return [Component(each.name, each.version or "", each.purl, each.cpes) for each in document.components]


PRODUCT = re.compile(rb'"cpe:2\.3:([aho]:(?:\\.|[^:\\])+:(?:\\.|[^:\\])+):')


@pytest.fixture(scope="module")
def vulnerabilities(data_dir, inventories):
    """The ids, trees and criteria of the records that name a product of the SBOMs; the others cannot match."""
    feeds = [data_dir / "nvd" / f"nvdcve-2.0-{year}.json.gz" for year in YEARS]
    if not all(feed.is_file() for feed in feeds):
        pytest.skip("not all of the feeds are there")
    wanted = {key.encode() for inventory in inventories.values() for key in inventory.by_product}
    decoder = msgspec.json.Decoder(Feed)
    numbers: dict[Criterion, int] = {}
    trees: dict[str, bytes] = {}
    for feed in feeds:
        for item in decoder.decode(gzip.decompress(feed.read_bytes())).vulnerabilities:
            text = bytes(item.cve.configurations).replace(rb"\\", b"\\")
            if wanted.isdisjoint(PRODUCT.findall(text.lower())):
                continue
            tree, criteria = configurations.from_record(msgspec.json.decode(item.cve.configurations))
            ids = [numbers.setdefault(each, len(numbers)) for each in criteria]
            trees[item.cve.id] = configurations.encode(configurations.renumber(tree, ids))
    return trees, {number: criterion for criterion, number in numbers.items()}


@pytest.mark.parametrize("name", SBOMS)
def test_matches_are_those_that_were_gone_through(name, inventories, vulnerabilities):
    path = GOLDEN / f"{name}.tsv"
    found = "".join(lines(inventories[name], *vulnerabilities))
    if os.environ.get("VEDETTE_WRITE_GOLDEN"):
        path.write_text(found)
    known = path.read_text()
    changes = difflib.unified_diff(one_each(known), one_each(found), "golden", "found", n=0, lineterm="")
    assert found == known, "\n".join(changes)


def lines(inventory, trees, criteria):
    """``component <tab> certainty <tab> CVE CVE ...``, sorted."""
    names = list(trees)
    found = match_candidates(
        inventory, compare_criteria(inventory, criteria), map(Candidate, range(len(names)), trees.values())
    )
    rows = defaultdict(set)
    for each in found:
        component = inventory.components[each.component]
        package = (component.purl or f"{component.name}@{component.version}").partition("?")[0]
        rows[package, each.certainty.value].add(names[each.vulnerability_id])
    for (package, certainty), ids in sorted(rows.items()):
        yield f"{package}\t{certainty}\t{' '.join(sorted(ids, key=by_number))}\n"


def by_number(cve_id):
    return [int(part) for part in cve_id.split("-")[1:]]


def one_each(text):
    """A line per match, which is what a difference is read by."""
    rows = [line.split("\t") for line in text.splitlines()]
    return [f"{package} {certainty} {each}" for package, certainty, ids in rows for each in ids.split()]
