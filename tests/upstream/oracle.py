"""What a mirror must hold: exactly what its upstream holds, by content."""

import msgspec
import sqlalchemy as sa
import zstandard
from sqlalchemy.orm import Session

from shared.models.mirror import Quarantine, Vulnerability, VulnerabilityRecord
from tests.upstream.server import Upstream


def differences(session: Session, upstream: Upstream) -> list[str]:
    """Where the mirror and its upstream disagree; a record in quarantine must be there as it came."""
    stored = {
        cve_id: msgspec.json.decode(zstandard.decompress(record))["cve"]
        for cve_id, record in session.execute(
            sa.select(Vulnerability.cve_id, VulnerabilityRecord.record).join(
                VulnerabilityRecord, VulnerabilityRecord.vulnerability_id == Vulnerability.id
            )
        )
    }
    for key, record in session.execute(sa.select(Quarantine.key, Quarantine.record)):
        stored[key] = msgspec.json.decode(zstandard.decompress(record))["cve"]
    wrong = [f"{name}: missing" for name in upstream.records.keys() - stored.keys()]
    wrong += [f"{name}: not upstream" for name in stored.keys() - upstream.records.keys()]
    wrong += [
        f"{name}: differs"
        for name, record in upstream.records.items()
        if name in stored and stored[name] != record
    ]
    return sorted(wrong)
