"""The container files, as far as they can be checked where no engine runs."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.settings import Settings

DOCKER = Path(__file__).parents[2] / "docker"
COMPOSE = DOCKER / "compose.yaml"
OURS = {"migrate", "api", "worker", "scheduler"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The compose file with its anchors resolved."""
    document: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return document


def instructions(extra: str) -> list[tuple[str, str]]:
    """A Dockerfile's instructions with their arguments, in order, continued lines joined."""
    text = (DOCKER / f"{extra}.Dockerfile").read_text()
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [
        (name, " ".join(rest.split())) for name, _, rest in (line.partition(" ") for line in lines if line)
    ]


def final_stage(extra: str) -> dict[str, str]:
    """The last word on each instruction of the last stage."""
    found = instructions(extra)
    start = max(index for index, (name, _) in enumerate(found) if name == "FROM")
    return dict(found[start:])


def home(extra: str) -> str:
    """The data directory in an image."""
    return dict(each.split("=") for each in final_stage(extra)["ENV"].split())["VEDETTE_DATA_DIR"]


def test_the_compose_file_fits_its_schema() -> None:
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        str(COMPOSE),
    ]
    checked = subprocess.run(command, check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_has_every_part(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"database", "redis", *OURS}


@pytest.mark.parametrize("service", sorted(OURS))
def test_services_are_confined(compose: dict[str, Any], service: str) -> None:
    settings = compose["services"][service]
    assert settings["read_only"] is True
    assert settings["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in settings["security_opt"]


@pytest.mark.parametrize("service", ["api", "worker", "scheduler"])
def test_services_wait_for_what_they_need(compose: dict[str, Any], service: str) -> None:
    conditions = {
        name: each["condition"] for name, each in compose["services"][service]["depends_on"].items()
    }
    assert conditions == {
        "migrate": "service_completed_successfully",
        "database": "service_healthy",
        "redis": "service_healthy",
    }


def test_the_worker_has_room_for_downloads(compose: dict[str, Any]) -> None:
    assert f"downloads:{home('worker')}" in compose["services"]["worker"]["volumes"]


def test_only_the_api_is_published_and_only_on_the_loopback(compose: dict[str, Any]) -> None:
    published = {name: each["ports"] for name, each in compose["services"].items() if "ports" in each}
    assert set(published) == {"api"}
    assert all(port.startswith("${VEDETTE_HOST:-127.0.0.1}:") for port in published["api"])


def test_no_password_has_a_default() -> None:
    """What a stranger must not guess has to be set; for the rest, which belong to services elsewhere, empty is none."""
    secrets = dict(re.findall(r"\$\{(\w*(?:PASSWORD|SECRET|TOKEN|KEY)\w*)([^}]*)\}", COMPOSE.read_text()))
    required = {name for name, rest in secrets.items() if rest.startswith(":?")}
    assert required == {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "VEDETTE_SECRET_KEYS"}
    assert {rest for name, rest in secrets.items() if name not in required} == {":-"}


def test_the_readme_makes_whatever_has_to_be_set() -> None:
    required = set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text()))
    made = re.search(r"^for name in ([A-Z_ ]+); do", (DOCKER.parent / "README.md").read_text(), re.MULTILINE)
    assert made
    assert required <= set(made[1].split())


def test_the_api_and_workers_share_keys_and_the_rule_for_destinations(compose: dict[str, Any]) -> None:
    api, worker, scheduler = (
        compose["services"][name]["environment"] for name in ("api", "worker", "scheduler")
    )
    for name in ("VEDETTE_SECRET_KEYS", "VEDETTE_ALLOWED_DESTINATIONS"):
        assert api[name] == worker[name] == scheduler[name]


def test_a_stop_leaves_time_to_hand_work_back(compose: dict[str, Any]) -> None:
    assert compose["services"]["worker"]["stop_grace_period"] == "30s"


def test_services_are_given_settings_that_exist(compose: dict[str, Any]) -> None:
    known = {field.validation_alias for field in Settings.model_fields.values()}
    for service in OURS:
        assert set(compose["services"][service]["environment"]) <= known


@pytest.mark.parametrize("extra", ["api", "worker"])
class TestImage:
    def test_installs_only_its_own_extra_and_checks_hashes(self, extra: str) -> None:
        text = (DOCKER / f"{extra}.Dockerfile").read_text()
        assert set(re.findall(r"requirements-(\w+)\.txt", text)) == {"build", extra}
        for name, arguments in instructions(extra):
            if name == "RUN":
                for install in re.findall(r"install [^&]*-r [^&]*", arguments):
                    assert "--require-hashes" in install

    def test_leaves_its_tools_in_the_stage_before(self, extra: str) -> None:
        stages = [arguments for name, arguments in instructions(extra) if name == "FROM"]
        assert len(stages) == 2
        assert "pip" not in final_stage(extra).get("RUN", "")

    def test_runs_as_nobody_in_particular(self, extra: str) -> None:
        user = final_stage(extra)["USER"]
        assert int(user.partition(":")[0]) > 0

    def test_looks_after_its_health_without_curl(self, extra: str) -> None:
        _, _, command = final_stage(extra)["HEALTHCHECK"].partition("CMD ")
        program, script = json.loads(command)[:2]
        assert program == "python"
        copied = dict(
            reversed(arguments.split())
            for name, arguments in instructions(extra)
            if name == "COPY" and script in arguments
        )
        assert (DOCKER.parent / copied[script]).is_file()

    def test_gets_signals_itself(self, extra: str) -> None:
        stage = final_stage(extra)
        assert json.loads(stage["CMD"])[:2] == ["vedette", extra]
        assert stage["STOPSIGNAL"] == "SIGTERM"
        assert "ENTRYPOINT" not in stage

    def test_finds_what_it_copies_in_the_context(self, extra: str) -> None:
        allowed = {
            line[1:] for line in (DOCKER.parent / ".dockerignore").read_text().splitlines() if line[:1] == "!"
        }
        copied = [arguments.split()[:-1] for name, arguments in instructions(extra) if name == "COPY"]
        sources = {each for sources in copied for each in sources if not sources[0].startswith("--from")}
        assert sources <= allowed
        assert all((DOCKER.parent / each).exists() for each in sources)
