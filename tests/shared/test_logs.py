"""What a line of the log looks like, whoever writes it."""

import io
import json
import logging
import sys
import threading
import uuid

import pytest
import structlog

from shared import logs


@pytest.fixture
def configured(monkeypatch):
    """Configures logs that are written to a stream, until the end of the test."""
    root, config = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers, root.level

    def configured(log_format="json", stream=None):
        stream = stream or io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        logs.configure(log_format)
        return stream

    with structlog.contextvars.bound_contextvars():
        structlog.contextvars.clear_contextvars()  # what a request of another test left in this thread
        yield configured
    structlog.configure(**config)
    root.handlers, root.level = handlers, level


def only_line(stream):
    (line,) = stream.getvalue().splitlines()
    return json.loads(line)


def test_a_line_tells_its_context_what_happened_and_where_and_when(configured):
    stream = configured()
    with structlog.contextvars.bound_contextvars(task_id="t-1"):
        structlog.get_logger("worker_service.tasks").info("task_started", attempt=1)
    line = only_line(stream)
    assert list(line) == ["attempt", "event", "task_id", "level", "logger", "timestamp"]
    assert list(line.values())[:-1] == [1, "task_started", "t-1", "info", "worker_service.tasks"]
    assert line["timestamp"].endswith("Z")


def test_the_standard_librarys_records_are_lines_of_the_same_kind(configured):
    stream = configured()
    with structlog.contextvars.bound_contextvars(task_id="t-1"):
        logging.getLogger("dramatiq").warning("%d lost", 3)
    line = only_line(stream)
    assert {key: line[key] for key in ("event", "task_id", "level", "logger")} == {
        "event": "3 lost",
        "task_id": "t-1",
        "level": "warning",
        "logger": "dramatiq",
    }


@pytest.mark.parametrize("get_logger", [structlog.get_logger, logging.getLogger])
def test_an_exception_is_told_with_its_traceback_in_one_line(configured, get_logger):
    stream = configured()
    try:
        raise ValueError("no such thing")
    except ValueError:
        get_logger("anybody").exception("it_failed")
    line = only_line(stream)
    assert (line["event"], line["level"]) == ("it_failed", "error")
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: no such thing")


def test_what_json_does_not_know_is_written_as_python_does_and_beyond_ascii_is_escaped(configured):
    stream = configured()
    structlog.get_logger("anybody").info("seen", id=uuid.UUID(int=7), name="Zoë\n\udc80")
    assert stream.getvalue().isascii()
    line = only_line(stream)
    assert (line["id"], line["name"]) == (repr(uuid.UUID(int=7)), "Zoë\n\udc80")


def test_lines_for_people(configured):
    stream = configured("text")
    structlog.get_logger("anybody").warning("seen", number=3)
    (line,) = stream.getvalue().splitlines()
    assert "[warning  ] seen" in line
    assert "[anybody] number=3" in line


@pytest.mark.parametrize("get_logger", [structlog.get_logger, logging.getLogger])
def test_what_is_below_the_level_is_left_out(configured, get_logger):
    stream = configured()
    get_logger("anybody").debug("seen")
    assert stream.getvalue() == ""


def test_each_line_is_one_write_so_that_threads_and_processes_tear_none(configured):
    class Stream(io.StringIO):
        def write(self, text):
            writes.append(text)
            return len(text)

    writes = []
    configured(stream=Stream())
    loggers = [structlog.get_logger("ours"), logging.getLogger("theirs")]
    threads = [
        threading.Thread(target=lambda log=log: [log.info("seen") for _ in range(50)]) for log in loggers * 3
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(writes) == 300
    assert all(text.endswith("}\n") and text.count("\n") == 1 for text in writes)


@pytest.mark.parametrize("get_logger", [structlog.get_logger, logging.getLogger])
def test_a_line_that_cannot_be_written_fails_no_work(configured, get_logger, monkeypatch):
    stream = configured()
    stream.close()
    monkeypatch.setattr(logging, "raiseExceptions", False)
    get_logger("anybody").error("seen")


def test_a_value_that_cannot_be_written_fails_no_work(configured, monkeypatch):
    stream = configured()
    monkeypatch.setattr(logging, "raiseExceptions", False)
    structlog.get_logger("anybody").error("seen", value={(1, 2): 3})
    assert stream.getvalue() == ""
