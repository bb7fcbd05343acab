"""Cost against the mirror's size: ten times the CVEs, of other products, must not make a scan slower."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.harness import Bench, Figure, at_most, sessions_for
from tests.benchmarks.matching import describe, inventories, time_matching
from tests.benchmarks.mirroring import import_in_a_process
from worker_service.clients.nvd_feeds import Feed

COPIES = 9
"""Beside the original: ten times its CVEs."""

_PRODUCT = re.compile(rb"cpe:2\.3:([aoh]):")
_YEAR = re.compile(rb'("id":"CVE)-\d{4}-')


def measure(bench: Bench) -> Iterator[Figure]:
    """Match the same inventories against both mirrors, turn by turn, so that a busy machine is busy for both."""
    feed = next((each for each in bench.feeds if "2011" in each.name), bench.feeds[0])
    copies = [write_copy(feed, bench.scratch / f"copy-{number}.json.gz", number) for number in range(COPIES)]
    small, large = bench.new_database("small"), bench.new_database("large")
    few = import_in_a_process(small, [feed]).result["read"]
    many = import_in_a_process(large, [feed, *copies]).result["read"]
    for name, components in inventories(sessions_for(small)).items():
        before, after = time_matching([sessions_for(small), sessions_for(large)], components)
        assert len(after.result.matches) == len(before.result.matches)
        ratio = after.seconds / before.seconds
        about = (
            f"{few:,} to {many:,} CVEs, {before.seconds:.3f} s to {after.seconds:.3f} s; "
            f"{describe(components, after)}"
        )
        yield at_most(f"{name} at ten times the CVEs of other products", ratio, "times the time", 1.3, about)


def write_copy(feed: Path, target: Path, number: int) -> Path:
    """The feed once more, about other products and under other CVE ids."""
    with Feed(feed) as source, gzip.open(target, "wb", compresslevel=1) as out:
        out.write(b'{"vulnerabilities":[')
        for position, record in enumerate(source.records()):
            other = _YEAR.sub(rb"\g<1>-%d-" % (3000 + number), record, count=1)
            out.write(b"," * bool(position) + _PRODUCT.sub(rb"cpe:2.3:\g<1>:other%d_" % number, other))
        out.write(b"]}")
    return target
