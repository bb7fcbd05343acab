"""`python -m tests.benchmarks`: run all benchmarks, or those named, and print what they measured."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import deliveries, growth, increment, matching, mirroring, scanning, tasks
from tests.benchmarks.harness import DATABASES, Bench, describe_machine, feed_folder

BENCHMARKS = {
    "import": mirroring.measure,
    "match": matching.measure,
    "scan": scanning.measure,
    "growth": growth.measure,
    "increment": increment.measure,
    "tasks": tasks.measure,
    "deliveries": deliveries.measure,
}
"""Each by its name on the command line, in the order in which they run: the first fills what the second reads."""


def main() -> int:
    """Run what was asked for; 1 when a budget was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--database", choices=[*DATABASES, "both"], default="both")
    parser.add_argument("--feeds", default="nvdcve-2.0-2*.json.gz", help="which files of the folder (a glob)")
    parser.add_argument(
        "--mirror", help="an SQLAlchemy URL of a mirror that is filled already, to match against"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    folder = feed_folder()
    feeds = sorted(folder.glob(arguments.feeds))
    if not feeds:
        parser.error(f"no feeds like {arguments.feeds} in {folder} (set VEDETTE_BENCH_DATA)")
    print(describe_machine())
    kinds = DATABASES if arguments.database == "both" else (arguments.database,)
    missed = 0
    with tempfile.TemporaryDirectory(prefix="vedette-bench-") as scratch:
        for kind in kinds:
            with Bench(kind, feeds, Path(scratch), arguments.mirror) as bench:
                for name in arguments.names or BENCHMARKS:
                    print(f"\n{name}, {kind}")
                    for figure in BENCHMARKS[name](bench):
                        print(f"  {figure}", flush=True)
                        missed += figure.met is False
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
