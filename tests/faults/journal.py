"""The journal: every request, answer, kill and other fault of a run, one line of JSON each, in order."""

import json
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


def write(path: Path, event: str, /, **facts: Any) -> Entry:
    """Add a line; several processes may, since each line is one short write to the end of the file."""
    entry = {"at": time.time(), "event": event, **facts}
    line = json.dumps(entry, default=str).encode() + b"\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)
    return entry


@dataclass
class Journal:
    """A run's journal. What children wrote into it is read back from the file."""

    path: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, event: str, /, **facts: Any) -> Entry:
        """Write down what happened."""
        with self._lock:
            return write(self.path, event, **facts)

    def read(self) -> list[Entry]:
        """Everything so far, in order."""
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def of(self, event: str, /, **facts: Any) -> list[Entry]:
        """The entries of one kind, with these facts."""
        return [
            entry
            for entry in self.read()
            if entry["event"] == event and all(entry.get(name) == value for name, value in facts.items())
        ]
