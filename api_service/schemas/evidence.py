"""Evidence on the wire: `shared.matching.evidence` makes it, here is what its documentation shows."""

from typing import Any

from shared.matching.certainty import Certainty

CERTAINTIES = [certainty.value for certainty in Certainty]

OPENSSL = "cpe:2.3:a:openssl:openssl:1.0.1f:*:*:*:*:*:*:*"
_RANGE = "cpe:2.3:a:openssl:openssl:*:*:*:*:*:*:*:*"
EXAMPLE_CRITERION = {
    "criteria": _RANGE,
    "versionStartIncluding": "1.0.1",
    "versionEndExcluding": "1.0.1g",
}
EXAMPLE_EVIDENCE: dict[str, Any] = {
    "certainty": "confirmed",
    "sentence": f"openssl 1.0.1f is affected: the record names {_RANGE} from 1.0.1 up to but not including 1.0.1g, which "
    f"its CPE name {OPENSSL} meets (1.0.1f >= 1.0.1 and 1.0.1f < 1.0.1g; version order: vendor).",
    "criterion": EXAMPLE_CRITERION,
    "path": "configurations[0].nodes[0].cpeMatch[0]",
    "identifier": {"name": OPENSSL, "origin": "cpe", "source": OPENSSL},
    "version": {"value": "1.0.1f", "scheme": "vendor", "tests": ["1.0.1f >= 1.0.1", "1.0.1f < 1.0.1g"]},
    "assumes": {"platforms": [], "attributes": []},
}
