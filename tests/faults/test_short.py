"""Every promise on a small scale; `make faults` is the long version, which CI does not run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.__main__ import put_to_the_test
from tests.faults.promises import PROMISES, Promise
from tests.faults.warm import Nursery, nursery

SEED = 7


@pytest.fixture(scope="module")
def warm() -> Iterator[Nursery]:
    with nursery() as warm:
        yield warm


@pytest.mark.parametrize(
    ("promise", "kind"),
    [
        pytest.param(promise, kind, id=f"{'-'.join(promise.numbers)}-{kind}")
        for promise in PROMISES
        if promise.short
        for kind in promise.short_on
        if kind in promise.databases
    ],
)
def test_promise(promise: Promise, kind: str, warm: Nursery, tmp_path: Path):
    try:
        results = list(put_to_the_test(promise, kind, SEED, "short", tmp_path, warm.start))
    except PermissionError as error:
        pytest.skip(str(error))
    assert [result.figure.promise for result in results] == list(promise.numbers)
    broken = [str(result) for result in results if not result.figure.kept]
    assert not broken, "\n".join(broken)
