"""Evidence as data that JSON can hold, and as a sentence."""

import json

import pytest

from shared.matching.certainty import Certainty
from shared.matching.component import Component
from shared.matching.configurations import from_record
from shared.matching.evidence import evidence, evidences, sentence
from shared.matching.match import Candidate, match

CRITERIA = "cpe:2.3:a:openssl:openssl:*:*:*:*:*:*:*:*"
RECORD = [
    {
        "operator": "AND",
        "nodes": [
            {
                "cpeMatch": [
                    {
                        "vulnerable": True,
                        "criteria": CRITERIA,
                        "versionStartIncluding": "1.0.1",
                        "versionEndExcluding": "1.0.1g",
                        "matchCriteriaId": "AAAA",
                    }
                ]
            },
            {"cpeMatch": [{"vulnerable": False, "criteria": "cpe:2.3:o:microsoft:windows:-:*:*:*:*:*:*:*"}]},
        ],
    }
]
NAME = "cpe:2.3:a:openssl:openssl:1.0.1f:*:*:*:*:*:*:*"


def matched(component, record=RECORD):
    tree, criteria = from_record(record)
    (found,) = match([component], dict(enumerate(criteria)), [Candidate(7, tree)])
    return found


def test_evidence_holds_everything_that_was_concluded_from():
    told = evidence(matched(Component("OpenSSL", cpes=(NAME,))))

    text = told.pop("sentence")
    assert told == {
        "certainty": "conditional",
        "criterion": {
            "criteria": CRITERIA,
            "matchCriteriaId": "AAAA",
            "versionStartIncluding": "1.0.1",
            "versionEndExcluding": "1.0.1g",
        },
        "path": "configurations[0].nodes[0].cpeMatch[0]",
        "identifier": {"name": NAME, "origin": "cpe", "source": NAME},
        "version": {"value": "1.0.1f", "scheme": "vendor", "tests": ["1.0.1f >= 1.0.1", "1.0.1f < 1.0.1g"]},
        "assumes": {"platforms": ["o:microsoft:windows"], "attributes": []},
    }
    assert text == (
        f"openssl 1.0.1f is affected on a condition: the record names {CRITERIA} from 1.0.1 up to but not including "
        f"1.0.1g, which its CPE name {NAME} meets (1.0.1f >= 1.0.1 and 1.0.1f < 1.0.1g; version order: vendor), "
        "if it runs with microsoft windows, which the inventory does not say."
    )


def single(criteria):
    return [{"nodes": [{"cpeMatch": [{"vulnerable": True, "criteria": criteria}]}]}]


WORDS = [
    (Component(cpes=(NAME,)), single(CRITERIA), "openssl 1.0.1f is affected: the record names"),
    (Component(cpes=(NAME,)), single(NAME), "which its CPE name"),
    (
        Component(purl="pkg:maven/org.openssl/openssl@1.0.1f"),
        single(CRITERIA),
        "which its package URL, read as cpe:2.3:a:openssl:openssl",
    ),
    (Component("openssl", "1.0.1f"), single(CRITERIA), "is possibly affected"),
    (
        Component(cpes=(NAME,)),
        single("cpe:2.3:a:openssl:openssl:*:*:*:*:*:windows:*:*"),
        "if its target_sw is windows, which the inventory does not say",
    ),
]


@pytest.mark.parametrize(("component", "record", "words"), WORDS)
def test_sentences(component, record, words):
    assert words in sentence(matched(component, record))


def test_evidence_is_json():
    told = evidence(matched(Component(cpes=(NAME,))))

    assert json.loads(json.dumps(told)) == told
    assert told["certainty"] in set(Certainty)


def test_the_evidence_of_many_is_that_of_each():
    tree, criteria = from_record([*RECORD, *single("cpe:2.3:a:openssl:openssl:*:*:*:*:*:windows:*:*")])
    components = [Component(cpes=(NAME,)), Component(cpes=(NAME.replace("1.0.1f", "1.0.2"),))]
    candidates = [Candidate(number, tree) for number in range(3)]

    matches = list(match(components, dict(enumerate(criteria)), candidates))

    assert len(matches) == 6
    assert list(evidences(matches)) == [evidence(each) for each in matches]


@pytest.mark.parametrize(
    ("artifact", "certainty"), [("spring-core", "likely"), ("spring-webmvc", "possible")]
)
def test_a_part_of_a_product_tells_that_the_flaw_may_be_in_another_part(artifact, certainty):
    part = Component(
        purl=f"pkg:maven/org.springframework/{artifact}@5.0.2.RELEASE", because="read from a list"
    )
    told = evidence(matched(part, single("cpe:2.3:a:vmware:spring_framework:*:*:*:*:*:*:*:*")))

    assert told["certainty"] == certainty
    assert told["because"] == (
        "read from a list; the package is one of several that the product consists of, and the flaw may be in another one"
    )
    assert told["sentence"].endswith(f"{told['because']}.")


def test_a_package_that_is_the_product_tells_nothing_of_parts():
    whole = Component(purl="pkg:maven/xerces/xercesImpl@2.10.0")

    assert "because" not in evidence(matched(whole, single("cpe:2.3:a:apache:xerces2_java:*:*:*:*:*:*:*:*")))
