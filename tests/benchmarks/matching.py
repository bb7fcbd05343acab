"""Matching against the whole mirror: 1,000 components of popular products, and two real SBOMs."""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from shared import database, mirror, sbom
from shared.database import Sessions
from shared.matching.component import Component
from shared.models.mirror import Criterion, CriterionUse
from tests.benchmarks.harness import Bench, Figure, Spent, at_most, feed_folder, sessions_for, spend
from tests.benchmarks.mirroring import import_in_a_process
from worker_service import interpreter

COMPONENTS = 1000
DOCUMENTS = ("syft-bitnami_laravel.spdx.json", "keycloak-10.0.2.cdx.json")
ROUNDS = 5


def measure(bench: Bench) -> Iterator[Figure]:
    """The budget of `match`, which is for the popular components: the median of some rounds, the first thrown away."""
    if bench.mirror_url is None:
        bench.mirror_url = bench.new_database("mirror")
        import_in_a_process(bench.mirror_url, bench.feeds)
    sessions = sessions_for(bench.mirror_url)
    popular, *documents = inventories(sessions).items()
    name, components = popular
    (spent,) = time_matching([sessions], components)
    yield at_most(f"match, {name}", spent.seconds, "s", 0.5, describe(components, spent))
    for name, components in documents:
        (spent,) = time_matching([sessions], components)
        yield Figure(f"match, {name}", spent.seconds, "s", note=describe(components, spent))


def inventories(sessions: Sessions) -> dict[str, list[Component]]:
    """What is matched, by name: the popular components of this mirror first, then the SBOMs that are at hand."""
    paths = [feed_folder().parent / "sboms" / name for name in DOCUMENTS]
    return {
        "popular products": popular_components(sessions, COMPONENTS),
        **{path.name: _components(path.read_bytes()) for path in paths if path.is_file()},
    }


def _components(document: bytes) -> list[Component]:
    read = sbom.read(document).components
    return [Component(each.name, each.version or "", each.purl, each.cpes) for each in read]


def describe(components: Sequence[Component], spent: Spent) -> str:
    """The work behind a figure: how much was looked at for a component."""
    result: mirror.MatchResult = spent.result
    count = len(components)
    return (
        f"{count:,} components, {sum(len(each.cpes) for each in components):,} CPE names, "
        f"{count / spent.seconds:,.0f} components/s; for a component {result.criteria / count:.1f} criteria compared "
        f"and {result.candidates / count:.1f} candidates; {len(result.matches):,} matches; {spent}"
    )


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
    interpreter.settle()
    for _ in range(ROUNDS + 1):
        for sessions, spent in zip(mirrors, rounds, strict=True):
            with database.reading(sessions) as session:
                spent.append(spend(lambda session=session: mirror.match(session, components)))
    return [sorted(spent[1:], key=lambda each: each.seconds)[ROUNDS // 2] for spent in rounds]
