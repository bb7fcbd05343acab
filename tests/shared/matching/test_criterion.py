"""Where a criterion is filed, and that a component looks where it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.matching import cpe
from shared.matching.compare import Inventory
from shared.matching.component import Component
from shared.matching.criterion import EVERY_PRODUCT, MUST_COMPARE, NO_VERSION, UNREADABLE, Criterion
from shared.matching.match import Candidate, match

FILED = [
    (Criterion("cpe:2.3:a:openssl:openssl:1.0.1f:*:*:*:*:*:*:*"), ("a:openssl:openssl", "1.0.1.f")),
    (Criterion("cpe:2.3:a:OpenSSL:OpenSSL:1.0.1F:*:*:*:*:*:*:*"), ("a:openssl:openssl", "1.0.1.f")),
    (Criterion("cpe:2.3:a:openbsd:openssh:7.2:p2:*:*:*:*:*:*"), ("a:openbsd:openssh", "7.2.p.2")),
    (Criterion("cpe:2.3:a:openbsd:openssh:7.2p2:*:*:*:*:*:*:*"), ("a:openbsd:openssh", "7.2.p.2")),
    (Criterion("cpe:2.3:a:openbsd:openssh:7.2:-:*:*:*:*:*:*"), ("a:openbsd:openssh", "7.2")),
    (Criterion("cpe:2.3:a:x:y:10.0.0:*:*:*:*:*:*:*"), ("a:x:y", "10")),
    (Criterion("cpe:2.3:a:x:y:*:*:*:*:*:*:*:*"), ("a:x:y", MUST_COMPARE)),
    (Criterion("cpe:2.3:a:x:y:*:*:*:*:*:*:*:*", version_end_excluding="2"), ("a:x:y", MUST_COMPARE)),
    (Criterion("cpe:2.3:a:x:y:1.0:*:*:*:*:*:*:*", version_end_excluding="2"), ("a:x:y", MUST_COMPARE)),
    (Criterion("cpe:2.3:a:x:y:1.*:*:*:*:*:*:*:*"), ("a:x:y", MUST_COMPARE)),
    (Criterion("cpe:2.3:a:x:y:1.0:sp?:*:*:*:*:*:*"), ("a:x:y", MUST_COMPARE)),
    (Criterion("cpe:2.3:o:x:y:-:*:*:*:*:*:*:*"), ("o:x:y", NO_VERSION)),
    (Criterion("cpe:2.3:a:*:y:1.0:*:*:*:*:*:*:*"), (EVERY_PRODUCT, "1")),
    (Criterion("cpe:2.3:a:x:y*:*:*:*:*:*:*:*:*"), (EVERY_PRODUCT, MUST_COMPARE)),
    (Criterion("cpe:2.3:a:x:y"), (UNREADABLE, MUST_COMPARE)),
    (Criterion(""), (UNREADABLE, MUST_COMPARE)),
    (Criterion("pkg:npm/lodash", version_end_excluding="4.17.21"), ("pkg:npm/lodash", MUST_COMPARE)),
]


@pytest.mark.parametrize(("criterion", "key"), FILED, ids=lambda value: str(value)[:60])
def test_index_key(criterion, key):
    assert criterion.index_key == key


_versions = st.sampled_from(
    [
        "1.0",
        "1.0.0",
        "1",
        "v1.0",
        "1.0a",
        "1.0-beta2",
        "1.0b2",
        "7.2p2",
        "7.2",
        "7.2.0-p2",
        "2015-06-19",
        "20150619",
    ]
)
_updates = st.sampled_from(["*", "-", "p2", "beta2", "a", "sp1"])


@given(_versions, _updates, _versions, _updates)
def test_a_component_looks_where_every_criterion_that_it_meets_is_filed(
    version, update, own_version, own_update
):
    criterion = Criterion(f"cpe:2.3:a:x:y:{cpe.quote(version)}:{update}:*:*:*:*:*:*")
    component = Component(cpes=(f"cpe:2.3:a:x:y:{cpe.quote(own_version)}:{own_update}:*:*:*:*:*:*",))
    tree = ({"nodes": [{"cpeMatch": [{"criteria": criterion.criteria, "vulnerable": True}]}]},)

    if list(match([component], {0: criterion}, [Candidate(1, _tree(tree))])):
        assert criterion.index_key in Inventory([component]).lookup_keys()


def _tree(record):
    from shared.matching import configurations  # noqa: PLC0415

    return configurations.from_record(list(record))[0]
