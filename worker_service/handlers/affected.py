"""News in seconds: what the mirror learnt is matched at once against the assets that it concerns, and only those.

The change log says which criteria a changed vulnerability has and had, a criterion names its product, and assets are filed
under the products of their components. An asset that was scanned before gets a run that matches its stored inventory
again; from there on everything is as with any other run.
"""

import datetime as dt
import uuid
from collections.abc import Iterable, Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared import database, inventory
from shared.errors import Conflict
from shared.lifecycle import run
from shared.matching.criterion import EVERY_PRODUCT
from shared.matching.identity import RULES
from shared.models.asset import Asset, AssetProduct
from shared.models.base import Document
from shared.models.mirror import Criterion, MirrorChange, SnapshotCounter, unpack_ids
from shared.models.scan import RunStatus, Scan, Trigger
from shared.tasks import START_AFFECTED_SCANS, Asking, ask
from worker_service.tasks import Effect, Work

LATER = dt.timedelta(seconds=5)
"""After this an asset is tried again whose scan is running: it may have read the mirror before the news."""


def start_scans(work: Work, asset_ids: list[str] | None) -> Effect:
    """Start a run for every asset that changes of the mirror concern; with `asset_ids`, for those, whatever changed.

    Gives `{assets, started, snapshot}`.
    """
    with work.reading() as session:
        counter = session.get(SnapshotCounter, 1)
        snapshot = counter.number if counter else 0
        if asset_ids is not None:
            concerned = {uuid.UUID(each) for each in asset_ids}
        elif counter is None or counter.followed == counter.number:
            concerned = set()
        else:
            concerned = _concerned(session, counter.followed, counter.number)

    def effect(session: Session) -> Document:
        started, busy = _start(session, concerned)
        if busy:
            later = Asking(run_after=database.now(session) + LATER)
            ask(session, START_AFFECTED_SCANS, later, asset_ids=sorted(map(str, busy)))
        if asset_ids is None:
            _note_followed(session, snapshot)
        return {"assets": len(concerned), "started": started, "snapshot": snapshot}

    return effect


def _concerned(session: Session, since: int, until: int) -> set[uuid.UUID]:
    """The assets with a component of a product that the snapshots after `since` up to `until` are about."""
    products = _products(session, since, until)
    if EVERY_PRODUCT in products:
        return set(session.scalars(sa.select(Asset.id)))
    concerned = set(session.scalars(sa.select(Asset.id).where(Asset.product_rules.is_distinct_from(RULES))))
    for chunk in database.in_lists(products):
        query = sa.select(AssetProduct.asset_id).where(AssetProduct.product_key.in_(chunk)).distinct()
        concerned.update(session.scalars(query))
    return concerned


def _products(session: Session, since: int, until: int) -> set[str]:
    changes = sa.select(MirrorChange.old_criteria, MirrorChange.new_criteria).where(
        MirrorChange.snapshot > since, MirrorChange.snapshot <= until
    )
    criteria: set[int] = set()
    for old, new in session.execute(changes.execution_options(yield_per=database.LIST_LENGTH)):
        criteria.update(unpack_ids(old), unpack_ids(new))
    products: set[str] = set()
    for chunk in database.in_lists(criteria):
        query = sa.select(Criterion.product_key).where(Criterion.id.in_(chunk)).distinct()
        products.update(session.scalars(query))
    return products


def _start(session: Session, assets: Iterable[uuid.UUID]) -> tuple[int, set[uuid.UUID]]:
    """Start one scan of each asset that was scanned before: how many, and the assets whose scan is running now."""
    started, busy = 0, set()
    for scan in _scans(session, assets):
        if scan.asset.product_rules != RULES:
            inventory.file_under_products(session, scan.asset_id)
        try:
            run.start(session, scan, scan.created_by, Trigger.MIRROR)
            started += 1
        except Conflict:
            if scan.status != RunStatus.QUEUED:  # a queued one will read the mirror as it is now
                busy.add(scan.asset_id)
    return started, busy


def _scans(session: Session, assets: Iterable[uuid.UUID]) -> Iterator[Scan]:
    """The first scan of each asset that has had a run."""
    for chunk in database.in_lists(assets):
        query = sa.select(Scan).where(Scan.asset_id.in_(chunk), Scan.latest_run_id.is_not(None))
        first: dict[uuid.UUID, Scan] = {}
        for scan in session.scalars(query.order_by(Scan.created_at, Scan.id)):
            first.setdefault(scan.asset_id, scan)
        yield from first.values()


def _note_followed(session: Session, snapshot: int) -> None:
    behind = SnapshotCounter.followed < snapshot
    session.execute(sa.update(SnapshotCounter).where(behind).values(followed=snapshot))
