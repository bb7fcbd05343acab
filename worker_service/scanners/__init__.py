"""The scanners: each collects the components of a scan's asset. Adding one is a module and a line in `SCANNERS`."""

from shared.models.scan import ScannerKind
from worker_service.scanners import inventory, network, sbom
from worker_service.scanners.scanner import Collected, Scanner

SCANNERS: dict[ScannerKind, Scanner] = {
    ScannerKind.SBOM: sbom,
    ScannerKind.INVENTORY: inventory,
    ScannerKind.NETWORK: network,
}
"""Every scanner by the name that scans give it."""

__all__ = ["SCANNERS", "Collected", "Scanner"]
