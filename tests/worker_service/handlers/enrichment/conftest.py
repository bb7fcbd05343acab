from collections.abc import Iterator

import pytest

from tests.upstream.enriched import Installation
from tests.upstream.published import EPSS, KEV, Publisher, catalogue, scores
from tests.upstream.server import serving


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    """A catalogue of four, and four scores."""
    cves = [f"CVE-2026-000{number}" for number in range(1, 5)]
    files = {KEV: catalogue(*cves), EPSS: scores(*(f"{cve},0.5,0.9" for cve in cves))}
    with serving(Publisher(files)) as fake:
        yield fake


@pytest.fixture
def installation(sessions, settings, publisher) -> Installation:
    return Installation(sessions, settings, publisher)
