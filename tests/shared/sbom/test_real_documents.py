"""The counts of real documents, where they are at hand."""

import os
from pathlib import Path

import pytest

from shared.sbom import Format, read

ROOT = Path(__file__).resolve().parents[3]
SBOMS = Path(os.environ.get("VEDETTE_TEST_DATA", ROOT / ".." / "shared" / "data")) / "sboms"

# Every CycloneDX component but the described one, nested ones included; every SPDX package.
CASES = [
    ("dropwizard-1.3.15.cdx.json", Format.CYCLONEDX_JSON, "1.2", 167),
    ("juice-shop-11.1.2.cdx.json", Format.CYCLONEDX_JSON, "1.2", 840),
    ("keycloak-10.0.2.cdx.json", Format.CYCLONEDX_JSON, "1.2", 903),
    ("keycloak-10.0.2.cdx.xml", Format.CYCLONEDX_XML, "1.2", 903),
    ("proton-bridge-1.8.0.cdx.json", Format.CYCLONEDX_JSON, "1.2", 201),
    ("redis-commander.cdx.json", Format.CYCLONEDX_JSON, "1.4", 514),
    ("mediawiki.cdx.xml", Format.CYCLONEDX_XML, "1.4", 196),
    ("flux-0.26.3.spdx.json", Format.SPDX_JSON, "2.2", 244),
    ("istio-release.spdx", Format.SPDX_TAG_VALUE, "2.2", 3461),
    ("syft-bitnami_kong.spdx.json", Format.SPDX_JSON, "2.3", 118),
    ("syft-bitnami_laravel.spdx.json", Format.SPDX_JSON, "2.3", 818),
    ("syft-continuumio_miniconda3.spdx.json", Format.SPDX_JSON, "2.3", 188),
    ("syft-vmware_redis-photon.spdx.json", Format.SPDX_JSON, "2.3", 56),
]

pytestmark = pytest.mark.skipif(not SBOMS.is_dir(), reason="the real documents are not at hand")


@pytest.mark.parametrize(("name", "form", "spec_version", "count"), CASES, ids=[case[0] for case in CASES])
def test_every_component_of_a_real_document_is_read(name, form, spec_version, count):
    document = read((SBOMS / name).read_bytes())

    assert (document.format, document.spec_version) == (form, spec_version)
    assert len(document.components) == count
    assert document.name
    assert document.skipped == []


def test_both_forms_of_one_document_give_the_same_components():
    def identities(name):
        return [
            (c.group, c.name, c.version, c.purl, c.type) for c in read((SBOMS / name).read_bytes()).components
        ]

    # The two were written by two runs of the tool, which list the components in different orders.
    assert sorted(identities("keycloak-10.0.2.cdx.json")) == sorted(identities("keycloak-10.0.2.cdx.xml"))


def test_every_identifier_of_a_real_document_is_carried():
    document = read((SBOMS / "syft-bitnami_laravel.spdx.json").read_bytes())

    assert sum(len(component.cpes) for component in document.components) == 4480
    assert sum(component.purl is not None for component in document.components) == 817
