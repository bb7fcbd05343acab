"""A missing tool skips a test on somebody's machine and fails it in CI; other skips stay skips."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

TESTS = """
import pytest

def test_tool():
    pytest.skip("nmap is not installed")

@pytest.mark.skipif(True, reason="dot is not installed")
def test_marked():
    pass

def test_data():
    pytest.skip("no real data")

@pytest.mark.xfail
def test_known():
    assert False
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with our hooks and a test of each kind."""
    pytester.makeconftest((Path(__file__).parents[1] / "conftest.py").read_text())
    pytester.makepyfile(TESTS)
    return pytester


def test_ci_misses_no_tool(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    ended = project.runpytest_subprocess("-p", "no:cacheprovider")
    ended.assert_outcomes(failed=1, errors=1, skipped=1, xfailed=1)
    ended.stdout.fnmatch_lines(["*nmap is not installed (with CI=true a missing tool is a failure)*"])


def test_a_machine_may_lack_tools(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    project.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(skipped=3, xfailed=1)
