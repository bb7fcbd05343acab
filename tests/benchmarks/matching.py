"""Matching 1,000 components of popular products against the whole mirror."""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from shared import database, mirror
from shared.database import Sessions
from shared.matching.component import Component
from shared.models.mirror import Criterion, CriterionUse
from tests.benchmarks.harness import Bench, Figure, Spent, at_most, sessions_for, spend
from tests.benchmarks.mirroring import import_in_a_process

COMPONENTS = 1000
ROUNDS = 5


def measure(bench: Bench) -> Iterator[Figure]:
    """The budget of `match`: the median of some rounds, the first thrown away."""
    if bench.mirror_url is None:
        bench.mirror_url = bench.new_database("mirror")
        import_in_a_process(bench.mirror_url, bench.feeds)
    sessions = sessions_for(bench.mirror_url)
    components = popular_components(sessions, COMPONENTS)
    (spent,) = time_matching([sessions], components)
    result: mirror.MatchResult = spent.result
    about = (
        f"{len(components)} components, {result.criteria:,} criteria compared, {result.candidates:,} candidates, "
        f"{len(result.matches):,} matches; {spent}"
    )
    yield at_most("match", spent.seconds, "s", 0.5, about)


def popular_components(sessions: Sessions, count: int, pattern: str = "%") -> list[Component]:
    """A component of each of the most used products, in a version that some criterion names."""
    named = Criterion.version_key.not_in(["", "-"])
    statement = (
        sa.select(Criterion.product_key, sa.func.min(Criterion.criteria))
        .join(CriterionUse, CriterionUse.criterion_id == Criterion.id)
        .where(named, Criterion.product_key.like(pattern))
        .group_by(Criterion.product_key)
        .order_by(sa.func.count().desc(), Criterion.product_key)
        .limit(count)
    )
    with database.reading(sessions) as session:
        return [Component(name=key, cpes=(criteria,)) for key, criteria in session.execute(statement)]


def time_matching(mirrors: Sequence[Sessions], components: list[Component]) -> list[Spent]:
    """The median round of matching against each mirror in turn; the first round warms up."""
    rounds: list[list[Spent]] = [[] for _ in mirrors]
    for _ in range(ROUNDS + 1):
        for sessions, spent in zip(mirrors, rounds, strict=True):
            with database.reading(sessions) as session:
                spent.append(spend(lambda session=session: mirror.match(session, components)))
    return [sorted(spent[1:], key=lambda each: each.seconds)[ROUNDS // 2] for spent in rounds]
