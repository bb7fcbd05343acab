"""P23: migrations are safe: from every released schema with data, interrupted anywhere, and by two at once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from shared import database, migrations
from tests.faults import migrate
from tests.faults.bench import Bench
from tests.faults.figures import Figure
from tests.shared.migrations.released import Rows, changed, differences, release, revisions

MODULE = migrate.__spec__.name if migrate.__spec__ else "tests.faults.migrate"


def interrupted_and_at_once(bench: Bench, size: int) -> Iterator[Figure]:
    """From every released schema: die `size` times in the middle, each time somewhere else, then migrate by two at once.

    With `size` 1, only before the commit, and only from the oldest and the latest.
    """
    former = revisions()[:-1] if size > 1 else [revisions()[0], revisions()[-2]]
    deaths, half, lost, wrong = 0, 0, [], []
    for revision in former:
        with _database(bench, f"from_{revision}") as engine:
            kept = release(engine, revision)
            for number in [migrate.COMMIT, *_anywhere(bench, revision, size - 1)]:
                deaths += _die(bench, engine, number)
                half += _revision(engine) != revision
                lost += changed(engine, kept)
            wrong += _two_at_once(bench, engine, revision, kept)
    yield Figure(
        "P23",
        "same schema, no loss, one runs and one waits",
        f"{len(former)} released schemas with a row in every table, {deaths} deaths in the middle, "
        f"two at once from each",
        f"{half} half migrated, {len(lost)} rows lost, {len(wrong)} other faults",
        deaths == len(former) * size and not half and not lost and not wrong,
        "; ".join([*lost, *wrong][:3]),
    )


@contextmanager
def _database(bench: Bench, name: str) -> Iterator[sa.Engine]:
    """An empty database beside the bench's own; processes that are started meanwhile use it."""
    if bench.kind == "sqlite":
        url = f"sqlite:///{bench.folder / name}.sqlite3"
    else:
        with bench.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
        url = bench.engine.url.set(database=name).render_as_string(hide_password=False)
    engine, before = database.make_engine(url), bench.environment["DATABASE_URL"]
    bench.environment["DATABASE_URL"] = url
    try:
        yield engine
    finally:
        bench.environment["DATABASE_URL"] = before
        engine.dispose()


def _migrate(bench: Bench, **changes: str) -> int:
    process = bench.start(MODULE, **changes)
    return int(process.popen.wait(120))


def _anywhere(bench: Bench, revision: str, times: int) -> list[int]:
    """Which of the statements from a revision to the newest to die at; how many there are is found out beforehand."""
    if not times:
        return []
    with _database(bench, f"count_{revision}") as engine:
        release(engine, revision)
        assert _migrate(bench) == 0
    statements = int(bench.journal.of("migrated")[-1]["statements"])
    return [bench.dice.randint(1, statements) for _ in range(times)]


def _die(bench: Bench, engine: sa.Engine, number: int) -> bool:
    engine.dispose()  # nobody of ours in its way
    bench.journal.note("dies", statement=number)
    return _migrate(bench, **{migrate.STATEMENT: str(number)}) == -signal.SIGKILL


def _revision(engine: sa.Engine) -> str | None:
    with engine.connect() as connection:
        return migrations.current(connection)


def _two_at_once(bench: Bench, engine: sa.Engine, revision: str, kept: Rows) -> list[str]:
    engine.dispose()
    done = len(bench.journal.of("migrated"))
    both = [bench.start(MODULE) for _ in range(2)]
    codes = [process.popen.wait(120) for process in both]
    found = sorted(str(each["before"]) for each in bench.journal.of("migrated")[done:])
    wrong = [f"{revision}: exit codes {codes}"] if any(codes) else []
    if found != sorted([revision, str(migrations.head())]):
        wrong.append(f"{revision}: they found {found}")
    wrong += [f"{revision}: schema differs: {each}" for each in differences(engine)]
    wrong += [f"{revision}: {table} changed" for table in changed(engine, kept)]
    return wrong
