"""Keys of the mirror."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.models.mirror import cve_id_of, pack_ids, unpack_ids, vulnerability_id


@pytest.mark.parametrize(
    ("cve_id", "key"),
    [
        ("CVE-1999-0095", 1999 << 32 | 95),
        ("CVE-2020-1234", 2020 << 32 | 1234),
        ("CVE-2019-1010000", 2019 << 32 | 1_010_000),
        ("CVE-2026-4294967295", 2026 << 32 | 0xFFFFFFFF),
        ("CVE-2026-4294967296", None),
        ("CVE-2020-01234", None),
        ("CVE-2020-123", None),
        ("CVE-20-1234", None),
        ("cve-2020-1234", None),
        ("CVE-2020-1234\n", None),
        ("", None),
    ],
)
def test_the_key_of_a_cve_is_made_from_its_id(cve_id, key):
    assert vulnerability_id(cve_id) == key


def test_keys_sort_as_people_sort_cve_ids():
    names = ["CVE-1999-0095", "CVE-1999-1000", "CVE-2020-9999", "CVE-2020-10000", "CVE-2021-0001"]
    assert sorted(names, key=vulnerability_id) == names


@pytest.mark.parametrize("ids", [[], [5], [2**63 - 1, 0, 7]])
def test_ids_survive_packing_in_order(ids):
    packed = pack_ids(ids)
    assert len(packed) == 8 * len(ids)
    assert unpack_ids(packed) == sorted(ids)


@given(st.integers(1, 9999), st.integers(0, 2**32 - 1))
def test_an_id_comes_back_from_its_key(year, number):
    key = year << 32 | number
    assert vulnerability_id(cve_id_of(key)) == key
