"""P11: upstream trouble never corrupts, empties or flatters the mirror, and the upstream is never asked too often."""

from collections.abc import Iterator

from structlog.testing import capture_logs

from shared.settings import Settings
from tests.faults.bench import Bench
from tests.faults.figures import Figure
from tests.faults.mirror import LIMIT, PAGE, Torment
from tests.upstream.life import TROUBLES, steps
from tests.upstream.mirror import Mirror, pointed_at
from tests.upstream.records import make_records
from tests.upstream.server import START, Upstream, serving


def trouble_upstream(bench: Bench, size: int) -> Iterator[Figure]:
    """Every trouble with `size` seeds; then a bootstrap of twice as many pages, with a kill at the boundary of each."""
    settings = Settings(_env_file=None).with_changes(
        database_url=bench.environment["DATABASE_URL"], data_dir=bench.folder
    )
    wrong = [name for name in TROUBLES if not _outlives(bench, settings, name, size)]
    torment = _torment(bench, settings, 2 * size)
    differences, again = torment.mirror.differences(), torment.fetched_again
    ahead = torment.mirror.coverage.watermark > torment.mirror.upstream.clock
    most = torment.most_in_a_window
    yield Figure(
        "P11",
        "mirror equals the oracle, watermark never ahead, rate limit never exceeded",
        f"{len(TROUBLES)} troubles with {size} seeds each; SIGKILL at each of {torment.pages} page boundaries of a bootstrap, "
        f"Redis wiped {torment.wipes} times",
        f"{len(TROUBLES) - len(wrong)} of {len(TROUBLES)} outlived{': not ' if wrong else ''}{', '.join(wrong)}; "
        f"{torment.kills} kills: {len(differences)} differences, {again} answered pages fetched again, watermark "
        f"{'AHEAD' if ahead else 'not ahead'}, at most {most} requests in a window that allows {LIMIT.requests}",
        not wrong and not differences and not ahead and again <= torment.kills and most <= LIMIT.requests,
    )


def _outlives(bench: Bench, settings: Settings, name: str, seeds: int) -> bool:
    """Whether all is right after each step."""
    seed = None
    try:
        with capture_logs(), serving(Upstream()) as upstream:
            for life in steps(seeds, upstream, settings, bench.sessions):
                seed = life.seed
                TROUBLES[name](life)
    except AssertionError as error:
        bench.journal.note("not outlived", trouble=name, seed=seed, error=str(error)[:1000])
        return False
    bench.journal.note("outlived", trouble=name, seeds=seeds)
    return True


def _torment(bench: Bench, settings: Settings, pages: int) -> Torment:
    """A bootstrap of an empty mirror, with a kill at each page boundary."""
    records = make_records(bench.seed, pages * PAGE, START)
    upstream = Upstream({record["id"]: record for record in records})
    with capture_logs(), serving(upstream):
        settings = pointed_at(settings, upstream).with_changes(nvd_feed_url="off", redis_url=bench.valkey.url)
        mirror = Mirror(bench.sessions, settings, upstream)
        mirror.empty()
        torment = Torment(mirror, pages, bench.dice)
        torment.run()
    return torment
