"""`vedette scan FILE`: the whole path through the API, with exit codes for a pipeline.

0 clean, 1 error, 2 a finding at or above `--fail-on`, 3 mirror older than `--max-age` (Grype's codes, with its 1 for every
error).
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from shared import sbom
from shared.cli.cells import cell
from shared.cli.client import Api
from shared.cli.mirror import make_progress
from shared.models.finding import Severity
from shared.settings import read_settings

EXIT_GATE = 2
EXIT_OLD = 3
POLL_SECONDS = 0.2

_STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "green"}


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", default="", help="The asset's name; the file's name if left out.")
@click.option(
    "--fail-on",
    type=click.Choice([each.value for each in Severity if each.rank >= Severity.LOW.rank]),
    help="Exit with 2 when a finding is this severe or worse.",
)
@click.option("--format", "format_", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option(
    "--max-age", type=click.FloatRange(min=0), help="Exit with 3 when the mirror is older, in hours."
)
def scan(file: Path, name: str, fail_on: str | None, format_: str, max_age: float | None) -> int:
    """Scan the SBOM FILE and print its findings."""
    api = Api.from_settings(read_settings())
    if max_age is not None and _too_old(api, max_age):
        return EXIT_OLD
    findings = scan_document(api, file, name or file.name)
    if format_ == "json":
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(findings)) + b"\n")
    else:
        print_findings(findings)
    if fail_on is None:
        return 0
    gate = Severity(fail_on).rank
    worse = [each for each in findings if Severity(each["severity"]).rank >= gate and _counts(each)]
    if worse:
        click.echo(f"{len(worse)} findings at or above {fail_on}", err=True)
        return EXIT_GATE
    return 0


def _counts(finding: dict[str, Any]) -> bool:
    """Whether a finding counts for the gate: what a human has ruled out does not."""
    return finding["triage"] not in ("not_affected", "false_positive", "risk_accepted")


def _too_old(api: Api, hours: float) -> bool:
    age = api.get("/nvd/status")["age_seconds"]
    if age is not None and age <= hours * 3600:
        return False
    shown = "is empty" if age is None else f"is {age / 3600:.1f} hours old"
    click.echo(f"the mirror {shown}; --max-age allows {hours:g} hours", err=True)
    return True


def scan_document(api: Api, file: Path, name: str) -> list[dict[str, Any]]:
    """Put the document as an asset's SBOM, run the asset's scan and give its open findings.

    Raises click's ClickException when the document is refused or the run does not complete.
    """
    document = file.read_bytes()
    try:
        sbom.read(document)  # what cannot be read leaves no empty asset behind
    except sbom.SbomError as error:
        raise click.ClickException(f"{file} is not an SBOM that can be read: {error}") from None
    asset_id = _asset(api, name)
    read = api.call("PUT", f"/assets/{asset_id}/sbom", data=document).json()
    click.echo(f"{read['format']} {read['spec_version']}, {read['components']} components", err=True)
    for skipped in read.get("skipped", [])[:5]:
        click.echo(f"  skipped {skipped['where']}: {skipped['why']}", err=True)
    scan_id = _scan(api, asset_id, name)
    started = api.post(f"/vulnerabilities/scans/{scan_id}/start")
    status = _wait(api, scan_id)
    if status != "completed":
        run = api.get(f"/vulnerabilities/scans/{scan_id}/runs/{started['run_id']}")
        raise click.ClickException(f"the run ended as {status}: {run.get('error') or 'no reason given'}")
    return list(api.pages("/vulnerabilities/findings", asset_id=asset_id, status="open"))


def _asset(api: Api, name: str) -> str:
    standing = api.get("/assets", name=name)
    asset = standing[0] if standing else api.post("/assets", {"name": name, "kind": "application"})
    return str(asset["id"])


def _scan(api: Api, asset_id: str, name: str) -> str:
    standing = [
        each for each in api.pages("/vulnerabilities/scans", asset_id=asset_id) if each["scanner"] == "sbom"
    ]
    definition = {"name": name, "asset_id": asset_id, "scanner": "sbom"}
    return str((standing[0] if standing else api.post("/vulnerabilities/scans", definition))["id"])


def _wait(api: Api, scan_id: str) -> str:
    """Show progress until the run has ended; its status."""
    with make_progress() as progress:
        bars: dict[str, Any] = {}
        while True:
            status = api.get(f"/vulnerabilities/scans/{scan_id}/status")
            info = status.get("task_info") or {}
            if (stage := info.get("stage")) is not None:
                bar = bars.get(stage) or bars.setdefault(stage, progress.add_task(stage, total=None))
                progress.update(bar, completed=info["current"] or 0, total=info["total"])
            if status["scan_status"] in ("completed", "failed", "cancelled"):
                return str(status["scan_status"])
            time.sleep(POLL_SECONDS)


def short_reason(evidence: dict[str, Any]) -> str:
    """The evidence of a finding on one line; its sentence says the same at length."""
    identifier, version = evidence["identifier"], evidence["version"]
    product = ":".join(identifier["name"].split(":")[3:5])
    text = f"{' and '.join(version['tests'])}, by {identifier['origin']} as {product}"
    assumed = [*evidence["assumes"]["platforms"], *evidence["assumes"]["attributes"]]
    return f"{text}, if {' and '.join(assumed)}" if assumed else text


def print_findings(findings: Sequence[dict[str, Any]]) -> None:
    """The findings as a table on standard output, the worst first, each with why it matched."""
    table = Table("Component", "Version", "Vulnerability", "Severity", "Certainty", "Why")
    order = sorted(
        findings, key=lambda each: (-Severity(each["severity"]).rank, -(each["score"] or 0), each["cve_id"])
    )
    for each in order:
        style = _STYLES.get(each["severity"], "")
        score = "" if each["score"] is None else f" {each['score']}"
        why = short_reason(each["evidence"][0])
        cve = each["cve_id"] + (" (exploited)" if each["kev"] else "")
        severity = f"[{style}]{each['severity']}{score}[/]" if style else f"{each['severity']}{score}"
        name, version = cell(each["component_name"]), cell(each["component_version"] or "")
        table.add_row(name, version, cve, severity, each["certainty"], cell(why))
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table)
    by_severity = ", ".join(
        f"{count} {severity}"
        for severity in reversed(Severity)
        if (count := sum(each["severity"] == severity for each in findings))
    )
    console.print(f"{len(findings)} findings" + (f": {by_severity}" if by_severity else ""))
