"""The command as its user meets it: `vedette up` as a process of its own, and the other commands beside it."""

import datetime as dt
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import psutil
import pytest
import requests

from shared.cli import local
from shared.errors import Conflict
from tests.builders import PATIENCE, wait_for
from tests.nowhere import NOWHERE
from tests.upstream.published import EPSS, KEV, Publisher, catalogue, scores
from tests.upstream.server import serving

SAMPLE = Path(str(resources.files("shared.sample")))
COMMAND = [sys.executable, "-m", "shared.cli"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(folder: Path, port: int) -> dict[str, str]:
    clean = {
        k: v for k, v in os.environ.items() if not k.startswith(("VEDETTE_", "DATABASE_", "REDIS_", "NVD_"))
    }
    return {**clean, **NOWHERE, "VEDETTE_DATA_DIR": str(folder / "data"), "VEDETTE_PORT": str(port)}


class Machine:
    """A data directory on which `vedette up` runs, and the other commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = environment(folder, free_port())

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, "up"], env=self.environment, cwd=self.folder, stderr=subprocess.PIPE, text=True
        )

    def local(self) -> local.Local | None:
        return local.read(self.folder / "data")


def family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def gone(processes: list[psutil.Process]) -> bool:
    return not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in processes)


@pytest.fixture(scope="module")
def publisher() -> Iterator[Publisher]:
    """Publishes that one vulnerability of the sample is known to be exploited beyond those that its records say."""
    now = dt.datetime.now(dt.UTC).isoformat()
    files = {
        KEV: catalogue("CVE-2018-25032", released=now),
        EPSS: scores("CVE-2018-25032,0.42,0.97", "CVE-2014-0160,0.94,0.99", date=now),
    }
    with serving(Publisher(files)) as publisher:
        yield publisher


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, publisher: Publisher) -> Iterator[Machine]:
    machine = Machine(tmp_path_factory.mktemp("machine"))
    machine.environment |= {"KEV_URL": publisher.url + KEV, "EPSS_URL": publisher.url + EPSS}
    up = machine.start()
    try:
        wait_for(machine.local, PATIENCE, "vedette up to be ready")
        processes = family(psutil.Process(up.pid))
        yield machine
        processes += family(psutil.Process(up.pid))
    finally:
        up.send_signal(signal.SIGINT)
        _, messages = up.communicate(timeout=60)
    assert up.returncode == 0, messages
    assert "Swagger UI" in messages
    wait_for(lambda: gone(processes), PATIENCE, "all children to end")
    assert machine.local() is None


@pytest.fixture(scope="module")
def mirror(machine: Machine) -> Machine:
    done = machine.run("nvd", "import", SAMPLE / "feed.json")
    assert done.returncode == 0, done.stderr
    assert "49 read" in done.stderr
    return machine


def test_the_same_feed_again_is_known(mirror):
    again = mirror.run("nvd", "import", SAMPLE / "feed.json")
    assert (again.returncode, "imported before" in again.stderr) == (0, True)


def test_a_file_that_is_no_feed_fails_with_its_reason(mirror, tmp_path):
    wrong = tmp_path / "wrong.json"
    wrong.write_text("<html>not here</html>")
    done = mirror.run("nvd", "import", wrong)
    assert done.returncode == 1
    assert "wrong.json: failure: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_scan_prints_its_findings_and_fails_at_the_gate(mirror):
    done = mirror.run("scan", SAMPLE / "sbom.cdx.json", "--fail-on", "critical", "--format", "json")
    assert done.returncode == 2, done.stderr
    findings = json.loads(done.stdout)
    assert {"CVE-2021-44228", "CVE-2014-0160"} <= {each["cve_id"] for each in findings}
    assert {each["certainty"] for each in findings} == {"confirmed", "conditional", "likely", "possible"}


def test_what_others_say_is_read_soon_after_the_first_start(mirror):
    def sources():
        lines = mirror.run("nvd", "status").stdout.splitlines()
        return {line.split()[0]: line for line in lines if "state fresh" in line}

    wait_for(lambda: {"kev", "epss"} <= set(sources()), PATIENCE, "both sources to be read")
    assert "last success at" in " ".join(mirror.run("nvd", "status").stdout.split())


def test_what_others_say_is_read_when_asked_for(mirror):
    done = mirror.run("nvd", "sync", "--kev", "--epss")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == ["kev: 1 entries, 0 skipped", "epss: 2 entries, 0 skipped"]


def test_a_scan_without_a_gate_is_no_failure(mirror):
    done = mirror.run("scan", SAMPLE / "sbom.cdx.json")
    assert done.returncode == 0, done.stderr
    assert "CVE-2021-44228" in done.stdout
    assert "confirmed" in done.stdout


def test_what_has_ended_shows_no_progress(mirror):
    assert mirror.run("scan", SAMPLE / "sbom.cdx.json").returncode == 0
    shown = mirror.run("tasks", "--name", "execute_vulnerability_scan", "--state", "SUCCESS")
    assert shown.returncode == 0, shown.stderr
    assert "execute_vulnerability_scan" in shown.stdout
    assert " %" not in shown.stdout


def test_a_component_may_be_called_what_it_likes(mirror, tmp_path):
    odd = tmp_path / "odd.cdx.json"
    component = {"type": "library", "name": "[/]a[red]", "version": "1.0.1f"}
    component["cpe"] = "cpe:2.3:a:openssl:openssl:1.0.1f:*:*:*:*:*:*:*"
    odd.write_text(json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.5", "components": [component]}))
    done = mirror.run("scan", odd)
    assert done.returncode == 0, done.stderr
    assert "[/]a[red]" in done.stdout


def test_a_clean_document_passes_the_gate(mirror, tmp_path):
    clean = tmp_path / "clean.cdx.json"
    component = {"type": "library", "name": "left-pad", "version": "1.3.0", "purl": "pkg:npm/left-pad@1.3.0"}
    clean.write_text(json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.5", "components": [component]}))
    done = mirror.run("scan", clean, "--fail-on", "low")
    assert done.returncode == 0, done.stderr
    assert "0 findings" in done.stdout


def test_a_mirror_that_is_too_old_is_told_apart(mirror):
    done = mirror.run("scan", SAMPLE / "sbom.cdx.json", "--max-age", "1")
    assert done.returncode == 3
    assert "--max-age" in done.stderr


def test_tasks_are_shown_and_a_dead_letter_gets_a_new_life(mirror, tmp_path):
    wrong = tmp_path / "dead.json"
    wrong.write_text("no feed")
    assert mirror.run("nvd", "import", wrong).returncode == 1
    dead = ("tasks", "--state", "FAILURE", "--queue", "default", "--name", "import_nvd_feed", "--limit", "1")
    shown = mirror.run(*dead)
    assert shown.returncode == 0, shown.stderr
    assert "vedette tasks requeue ID" in shown.stdout

    def newest():
        document = json.loads(mirror.run(*dead, "--format", "json").stdout)
        assert [each["queue"] for each in document["queues"]] == ["default"]
        return document["tasks"][0] if document["tasks"] else None

    task = newest()
    assert task["id"] in shown.stdout
    again = mirror.run("tasks", "requeue", task["id"])
    assert (again.returncode, again.stderr) == (0, "import_nvd_feed waits in default again\n")
    wait_for(lambda: (now := newest()) and now["id"] == task["id"] and now["ended_at"] != task["ended_at"])
    refused = mirror.run("tasks", "cancel", task["id"])
    assert (refused.returncode, "has ended already" in refused.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tasks", "--state", "DEAD"], "is not one of"),
        (["tasks", "cancel", "7"], "is not a valid UUID"),
        (["tasks", "requeue", "00000000-0000-4000-8000-000000000000"], "no such task"),
        (["scan"], "Missing argument"),
        (["scan", "absent.json"], "does not exist"),
        (["scan", __file__], "not an SBOM"),
        (["scan", __file__, "--fail-on", "bad"], "is not one of"),
        (["nvd", "import"], "Missing argument"),
        (["up"], "runs on"),
        (["worker", "nosuch"], "no such queue"),
    ],
)
def test_mistakes_are_one_message_and_exit_code_1(mirror, arguments, message):
    done = mirror.run(*arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_status_tells_the_state_and_the_source(mirror):
    done = mirror.run("nvd", "status")
    assert done.returncode == 0, done.stderr
    assert "not endorsed or certified by the NVD" in " ".join(done.stdout.split())


def test_a_user_with_a_token_of_the_command_may_read(mirror):
    assert (
        mirror.run("user", "create", "eve@example.org", "--password", "correct horse battery").returncode == 0
    )
    made = mirror.run("token", "create", "eve@example.org")
    assert made.returncode == 0, made.stderr
    url = f"{mirror.local().api_url}/api/v1/assets"
    answer = requests.get(url, headers={"Authorization": f"Bearer {made.stdout.strip()}"}, timeout=10)
    assert answer.status_code == 200


def test_a_child_that_dies_is_started_again(mirror):
    pid = mirror.local().pid
    api = next(each for each in psutil.Process(pid).children() if "api_service" in " ".join(each.cmdline()))
    api.kill()
    url = f"{mirror.local().api_url}/healthz"

    def answers() -> bool:
        try:
            return requests.get(url, timeout=2).ok
        except requests.RequestException:
            return False

    wait_for(lambda: not api.is_running() or api.status() == psutil.STATUS_ZOMBIE, PATIENCE)
    wait_for(answers, PATIENCE, "the API to be back")


def test_killing_up_leaves_nothing_behind(tmp_path):
    machine = Machine(tmp_path)
    up = machine.start()
    wait_for(machine.local, PATIENCE, "vedette up to be ready")
    processes = family(psutil.Process(up.pid))
    up.kill()
    up.communicate(timeout=60)
    wait_for(lambda: gone(processes), PATIENCE, "all children to end")
    assert machine.local() is None


def test_without_a_vedette_the_client_commands_say_so(tmp_path):
    done = Machine(tmp_path).run("scan", SAMPLE / "sbom.cdx.json")
    assert done.returncode == 1
    assert "vedette up" in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("VEDETTE_DATA_DIR", __file__, "File exists"),
        ("DATABASE_URL", "postgresql://vedette:hunter2@127.0.0.1:1/none", "the database is away"),
        ("VEDETTE_TOKEN", "\N{EURO SIGN}", "VEDETTE_TOKEN"),
    ],
)
def test_what_the_machine_refuses_is_one_message(tmp_path, name, value, message):
    machine = Machine(tmp_path)
    machine.environment |= {"VEDETTE_API_URL": "http://127.0.0.1:1", name: value}
    done = machine.run("nvd", "status") if name == "VEDETTE_TOKEN" else machine.run("db", "upgrade")
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


def test_a_file_that_was_left_behind_is_no_running_vedette(tmp_path):
    local.write(tmp_path, local.Local(os.getpid(), "http://127.0.0.1:1", "redis://127.0.0.1:1/0", "x"))
    assert local.read(tmp_path) is None
    with local.sole(tmp_path):
        assert local.read(tmp_path).pid == os.getpid()
        with pytest.raises(Conflict), local.sole(tmp_path):
            pass
    assert local.read(tmp_path) is None


def test_what_a_vedette_writes_is_its_users_alone(machine):
    data = machine.folder / "data"
    for path in (data, data / "vedette.sqlite3", data / "local.json", *(data / "logs").iterdir()):
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_demo_ends_by_itself_when_told_to(tmp_path):
    machine = Machine(tmp_path)
    began = time.monotonic()
    done = machine.run("demo", "--exit")
    assert done.returncode == 0, done.stderr
    assert "CVE-2021-44228" in done.stdout
    assert time.monotonic() - began < 120
