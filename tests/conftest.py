"""The real parts that tests stand on: a SQLite file, a PostgreSQL and a Redis, each started once per process.

`TEST_DATABASE_URL` and `TEST_REDIS_URL` name servers to use instead of the ones that come with wheels. Tests that take
`sessions` run on both databases; each finds them empty and leaves nothing behind.
"""

import os
import re
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest
import sqlalchemy as sa

from shared import database
from shared.database import Sessions
from shared.models.base import Base
from shared.settings import Settings
from tests.nowhere import NOWHERE
from tests.postgres import running_postgres
from tests.valkey import running_valkey

os.environ |= NOWHERE

# A busy machine is no finding; and what CI tries is the same every time.
hypothesis.settings.register_profile(
    "vedette",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize=os.environ.get("CI") == "true",
)
hypothesis.settings.load_profile("vedette")


_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Keep what differs between processes, a random id or the clock in a gzip header, out of the names of tests."""
    if isinstance(val, bytes):
        return argname
    return _UUID.sub("uuid", val) if isinstance(val, str) and _UUID.search(val) else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI=true, fail a test that skips because a tool is "not installed": there every tool must be."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if "not installed" in reason:
            report.outcome = "failed"
            report.longrepr = f"{reason} (with CI=true a missing tool is a failure)"
    return report


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """An SQLAlchemy URL of a PostgreSQL database of this process's own."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield from _own_database(url)
        return
    with running_postgres() as url:
        yield url


def _own_database(url: str) -> Iterator[str]:
    """A database of our own on somebody's server: two test processes must not meet in one."""
    name = f"vedette_test_{os.getpid()}"
    admin = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    yield sa.make_url(url).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis (Valkey) of this process's own."""
    if url := os.environ.get("TEST_REDIS_URL"):
        yield url
        return
    with running_valkey() as url:
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database with all tables, copied for each test."""
    path = tmp_path_factory.mktemp("sqlite") / "template.sqlite3"
    engine = database.make_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def postgres_engine(postgres_url: str) -> Iterator[sa.Engine]:
    """The PostgreSQL of this process, with all tables."""
    engine = database.make_engine(postgres_url)
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite_engine(sqlite_template: Path, tmp_path: Path) -> Iterator[sa.Engine]:
    """A SQLite database of the test's own."""
    path = tmp_path / "vedette.sqlite3"
    shutil.copyfile(sqlite_template, path)
    engine = database.make_engine(f"sqlite:///{path}")
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    """Each of the two databases in turn, empty."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_engine")
        return
    engine: sa.Engine = request.getfixturevalue("postgres_engine")
    yield engine
    names = ", ".join(f'"{table.name}"' for table in Base.metadata.sorted_tables)
    with engine.begin() as connection:
        connection.execute(sa.text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))


@pytest.fixture
def sessions(engine: sa.Engine) -> Sessions:
    """Sessions on each of the two databases in turn."""
    return database.make_sessions(engine)


@pytest.fixture
def settings(tmp_path: Path, engine: sa.Engine) -> Settings:
    """Settings for the database of the test, read from no environment."""
    url = engine.url.render_as_string(hide_password=False)
    return Settings.model_construct(**Settings.model_construct().model_dump()).with_changes(
        data_dir=tmp_path, database_url=url
    )


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with real NVD feeds and SBOMs; tests that want it skip where it is not."""
    folder = Path(os.environ.get("VEDETTE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder} (set VEDETTE_TEST_DATA)")
    return folder
