"""What modules are called, what they say of themselves, and what no file of the project may name."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ("api_service", "worker_service", "shared")
MODULES = sorted(path.relative_to(ROOT) for service in SERVICES for path in (ROOT / service).rglob("*.py"))
VAGUE = {"base_utils", "common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}

REGISTRY = "|".join(
    re.escape(host)
    for host in ("py" + "pi.org", "python" + "hosted.org", "npm" + "js.org", "npm" + "js.com", "proxy." + "golang.org",
                 "crates" + ".io", "deb." + "debian.org", "ghcr" + ".io", "docker" + ".io", "quay" + ".io")
)  # fmt: skip
MACHINE = "|".join(
    (r"(?<![\w.])/" + "work/", "/" + "root/", r"(?<![\w.])/" + r"home/\w+/", "/" + r"Users/\w+/")
)
FOREIGN = re.compile(f"{REGISTRY}|{MACHINE}")
EXAMPLES = ("tests/fixtures/", "shared/sample/")
"""Folders of data whose text comes from elsewhere."""


def tracked() -> list[str]:
    """The files of the project: what git follows, and what it is about to."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listing.returncode != 0:
        pytest.skip("not in a git checkout")
    return [name for name in listing.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_has_a_name_that_says_something(path: Path) -> None:
    assert not VAGUE & {path.stem, *path.parent.parts}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_says_what_it_is(path: Path) -> None:
    tree = ast.parse((ROOT / path).read_text())
    empty_package = path.name == "__init__.py" and not tree.body
    assert empty_package or ast.get_docstring(tree)


def test_no_file_names_a_registry_or_a_place_on_a_machine() -> None:
    found = []
    for name in tracked():
        if name.startswith(EXAMPLES):
            continue
        text = (ROOT / name).read_bytes().decode(errors="replace")
        found += [f"{name}: {match.group()}" for match in FOREIGN.finditer(text)]
    assert not found
