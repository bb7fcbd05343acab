"""Real processes on one pipe: what each of them writes, and what arrives."""

import os
import subprocess
import sys
import time

import pytest

from worker_service.standard_error import open_standard_error

WRITER = """
import sys
from worker_service.standard_error import open_standard_error
sys.stderr = None  # as Dramatiq puts something else there
for number in range(60):
    open_standard_error().write(sys.argv[1] * (20_000 if number % 10 == 0 else 200) + "\\n")
"""
WHOLE = sorted(letter * size for letter in (b"a", b"b") for size in [20_000] * 6 + [200] * 54)
"""What two of them write."""


def write(*arguments: str, stderr: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", WRITER, *arguments], stderr=stderr)


def read_slowly(pipe: int) -> bytes:
    """Everything, in small pieces, so that the pipe is full most of the time."""
    text = b""
    while piece := os.read(pipe, 3000):
        text += piece
        time.sleep(0.001)
    return text


@pytest.mark.timeout(60)
def test_processes_that_share_it_tear_no_line_however_long():
    reader, writer = os.pipe()
    processes = [write(letter, stderr=writer) for letter in "ab"]
    os.close(writer)
    lines = read_slowly(reader).splitlines()
    os.close(reader)
    assert [process.wait() for process in processes] == [0, 0]
    assert sorted(lines) == WHOLE


def test_a_file_needs_no_turns(tmp_path):
    with (tmp_path / "log").open("wb") as log:
        processes = [write(letter, stderr=log.fileno()) for letter in "ab"]
        assert [process.wait() for process in processes] == [0, 0]
    assert sorted((tmp_path / "log").read_bytes().splitlines()) == WHOLE


def test_what_stands_in_for_it_serves_when_it_was_closed(monkeypatch, capsys):
    monkeypatch.setattr(sys, "__stderr__", None)
    open_standard_error().write("seen\n")
    assert capsys.readouterr().err == "seen\n"
