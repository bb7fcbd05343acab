"""Put the promises to the test, and write down what was reached.

    python -m tests.faults [P1 P4 ...] [--database postgresql] [--seed 7] [--size usual|full|short|NUMBER] [--write]

Without a name, all of them, and the table goes to tests/faults/RESULTS.md, as it does with --write. A seed
replays the same faults in the same order; how the machine interleaves them with the work is its own affair. The journals stay
in --journal.
"""

import argparse
import random
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

from tests.faults.bench import open_bench
from tests.faults.figures import Figure, Result, record
from tests.faults.journal import Journal
from tests.faults.promises import PROMISES, Promise
from tests.faults.servers import DATABASES
from tests.faults.warm import nursery
from tests.flow.processes import Launch

SIZES = ("usual", "full", "short")


def put_to_the_test(
    promise: Promise, kind: str, seed: int, size: str, folder: Path, launch: Launch
) -> Iterator[Result]:
    """The results of one promise on one database; a run that breaks is a promise that is not kept.

    Raises PermissionError where the promise wants what this machine does not allow.
    """
    number = getattr(promise, size) if size in SIZES else int(size)
    journal = Journal(folder / f"{'-'.join(promise.numbers)}-{kind}-{seed}.jsonl")
    journal.path.unlink(missing_ok=True)
    begin = time.monotonic()
    quick = promise.quick or size == "short"
    try:
        with (
            promise.home(kind) if promise.home else nullcontext() as home,
            open_bench(kind, seed, journal, launch=launch, quick=quick, home=home) as bench,
        ):
            figures = list(promise.run(bench, number))
    except PermissionError:
        raise
    except Exception as error:  # the table goes on, with what went wrong in it
        traceback.print_exc()
        first = (str(error).splitlines() or [""])[0]
        broken = f"the run broke: {type(error).__name__}: {first}"
        figures = [Figure(each, "", f"size {number}", broken, kept=False) for each in promise.numbers]
    for figure in figures:
        yield Result(figure, kind, seed, time.monotonic() - begin)


def main() -> None:
    """Run what was named; exit code 1 when a promise was not kept."""
    options = _parser().parse_args()
    options.journal.mkdir(parents=True, exist_ok=True)
    wanted = [each for each in PROMISES if not options.promises or set(options.promises) & set(each.numbers)]
    kinds = DATABASES if options.database == "both" else (options.database,)
    one_row_at_a_time, results = threading.Lock(), []
    with nursery() as warm:

        def row(promise: Promise, kind: str) -> None:
            try:
                for result in put_to_the_test(
                    promise, kind, options.seed, options.size, options.journal, warm.start
                ):
                    with one_row_at_a_time:
                        print(result, flush=True)
                        results.append(result)
                        if options.write or not options.promises:
                            record([result])
            except PermissionError as error:
                print(f"{', '.join(promise.numbers)} {kind}: left out, {error}", flush=True)

        for promise in wanted:
            cells = [kind for kind in kinds if kind in promise.databases]
            with ThreadPoolExecutor(2 if promise.beside else 1) as pool:
                list(pool.map(row, [promise] * len(cells), cells))
    sys.exit(0 if results and all(result.figure.kept for result in results) else 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.partition("\n")[0])
    known = [number for promise in PROMISES for number in promise.numbers]
    parser.add_argument("promises", nargs="*", metavar="PROMISE", help=", ".join(known))
    parser.add_argument("--database", choices=[*DATABASES, "both"], default="both")
    parser.add_argument("--size", default="usual", help=f"{', '.join(SIZES)}, or a number")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--write", action="store_true", help="put what was reached into RESULTS.md")
    parser.add_argument("--journal", type=Path, default=Path("var/faults"))
    return parser


if __name__ == "__main__":
    main()
