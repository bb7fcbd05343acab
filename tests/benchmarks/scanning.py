"""A whole scan over HTTP on a whole Vedette: from `POST .../start` to `completed`, the mirror being full."""

import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.cli.client import Api
from shared.cli.up import running
from shared.settings import Settings
from tests.benchmarks.harness import Bench, Figure, at_most, feed_folder
from tests.benchmarks.mirroring import import_in_a_process

DOCUMENTS = ("keycloak-10.0.2.cdx.json", "syft-bitnami_laravel.spdx.json")
ROUNDS = 9
POLL_SECONDS = 0.02


def measure(bench: Bench) -> Iterator[Figure]:
    """The budget is for keycloak; the first round, which opens every finding, is told apart."""
    if bench.mirror_url is None:
        bench.mirror_url = bench.new_database("mirror")
        import_in_a_process(bench.mirror_url, bench.feeds)
    settings = Settings().with_changes(
        data_dir=bench.scratch / f"scan-{bench.kind}", database_url=bench.mirror_url, port=0
    )
    with running(settings, threading.Event()) as vedette:
        api = Api(vedette.api_url, vedette.token)
        for name in DOCUMENTS:
            first, seconds, counts = _scan(api, feed_folder().parent / "sboms" / name)
            about = f"{counts['components']} components, {counts['findings']} findings; the first run {first:.2f} s"
            figure = f"scan of {name}, start to completed, p50 of {ROUNDS}"
            if name == DOCUMENTS[0]:
                yield at_most(figure, seconds, "s", 1.5, about)
            else:
                yield Figure(figure, seconds, "s", note=about)


def _scan(api: Api, path: Path) -> tuple[float, float, dict[str, Any]]:
    """Seconds of the first run and of the median one after it, and the last run's counts."""
    asset = api.post("/assets", {"name": path.name, "kind": "application"})["id"]
    api.call("PUT", f"/assets/{asset}/sbom", data=path.read_bytes())
    scan = api.post("/vulnerabilities/scans", {"name": path.name, "asset_id": asset, "scanner": "sbom"})["id"]
    runs = [_run(api, scan) for _ in range(ROUNDS + 1)]
    return runs[0][0], statistics.median(seconds for seconds, _ in runs[1:]), runs[-1][1]


def _run(api: Api, scan: str) -> tuple[float, dict[str, Any]]:
    begin = time.perf_counter()
    run = api.post(f"/vulnerabilities/scans/{scan}/start")["run_id"]
    while (status := api.get(f"/vulnerabilities/scans/{scan}/status"))["scan_status"] != "completed":
        if status["scan_status"] == "failed":
            raise RuntimeError(api.get(f"/vulnerabilities/scans/{scan}/runs/{run}")["error"])
        time.sleep(POLL_SECONDS)
    seconds = time.perf_counter() - begin
    counts: dict[str, Any] = api.get(f"/vulnerabilities/scans/{scan}/runs/{run}")["counts"]
    return seconds, counts
