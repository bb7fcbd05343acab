"""Structured logs, one line an event, the same in every process."""

import logging
import sys
from collections.abc import Callable
from typing import Any, Protocol

import structlog


class Output(Protocol):
    """Where lines are written to."""

    def write(self, text: str, /) -> object:
        """Write one line."""

    def flush(self) -> None:
        """Keep nothing back."""


Stream = logging.StreamHandler[Output]
Renderer = Callable[[Any, str, structlog.types.EventDict], Any]
Arguments = tuple[tuple[structlog.types.EventDict], dict[str, Any]]


class LineLogger:
    """What a structlog logger writes its events with, in turn with the standard library's records.

    A record of the standard library for each event would cost more than all the rest of it.
    """

    def __init__(self, handler: Stream, renderer: Renderer, name: str) -> None:
        self._handler = handler
        self._renderer = renderer
        self.name = name

    def write(self, event: structlog.types.EventDict) -> None:
        """Write an event as one line, at once; like the standard library, fail no work when that fails."""
        try:
            line = self._renderer(self, "", event)
            with self._handler.lock:  # type: ignore[union-attr]  # every handler has one, after a fork a new one
                self._handler.stream.write(f"{line}{self._handler.terminator}")
                self._handler.flush()
        except Exception:
            self._handler.handleError(logging.makeLogRecord({"name": self.name, "msg": event}))

    debug = info = warning = error = critical = write


def _as_it_is(_logger: object, _method: str, event: structlog.types.EventDict) -> Arguments:
    """Leave it to the logger to render an event."""
    return (event,), {}


def configure(log_format: str, output: Output | None = None, level: int = logging.INFO) -> None:
    """Send structlog's and the standard library's records to standard error, or to `output`, as JSON or as text for people."""
    renderer: Renderer = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    before: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    handler: Stream = logging.StreamHandler(output or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    structlog.configure(
        processors=[*before, _as_it_is],
        logger_factory=lambda name="root": LineLogger(handler, renderer, name),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
