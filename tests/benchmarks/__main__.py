"""`python -m tests.benchmarks`: run all benchmarks, or those named, and print what they measured."""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.benchmarks import deliveries, growth, increment, matching, mirroring, scanning, tasks
from tests.benchmarks.harness import DATABASES, Bench, Figure, describe_machine, feed_folder
from tests.nowhere import NOWHERE

BENCHMARKS = {
    "import": mirroring.measure,
    "match": matching.measure,
    "scan": scanning.measure,
    "growth": growth.measure,
    "increment": increment.measure,
    "deliveries": deliveries.measure,
}
"""Each by its name on the command line, in the order in which they run: the first fills what the second reads."""
TASKS = "tasks"
"""The one that compares the databases in turn, beside others, and needs no mirror."""


def main() -> int:
    """Run what was asked for; 1 when a budget was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"{', '.join((*BENCHMARKS, TASKS))} (default: all)"
    )
    parser.add_argument("--database", choices=[*DATABASES, "both"], default="both")
    parser.add_argument("--feeds", default="nvdcve-2.0-2*.json.gz", help="which files of the folder (a glob)")
    parser.add_argument(
        "--mirror", help="an SQLAlchemy URL of a mirror that is filled already, to match against"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - {*BENCHMARKS, TASKS}:
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    names = arguments.names or [*BENCHMARKS, TASKS]
    feeds = sorted(feed_folder().glob(arguments.feeds))
    if not feeds and set(names) != {TASKS}:
        parser.error(f"no feeds like {arguments.feeds} in {feed_folder()} (set VEDETTE_BENCH_DATA)")
    os.environ |= NOWHERE  # what is measured has nothing to do with what the real sources answer
    print(describe_machine())
    kinds = DATABASES if arguments.database == "both" else (arguments.database,)
    missed = 0
    with tempfile.TemporaryDirectory(prefix="vedette-bench-") as scratch:
        for kind in kinds:
            with Bench(kind, feeds, Path(scratch), arguments.mirror) as bench:
                for name, measure in BENCHMARKS.items():
                    if name in names:
                        missed += _print(f"{name}, {kind}", measure(bench))
    if TASKS in names:
        missed += _print(TASKS, tasks.measure(kinds))
    return 1 if missed else 0


def _print(title: str, figures: Iterable[Figure]) -> int:
    """Print figures as they come; how many missed their budget."""
    print(f"\n{title}")
    missed = 0
    for figure in figures:
        print(f"  {figure}", flush=True)
        missed += figure.met is False
    return missed


if __name__ == "__main__":
    sys.exit(main())
