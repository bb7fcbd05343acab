"""nmap as a process: started with fixed arguments, followed host by host, and never left behind.

It runs in a process group of its own, which is killed when the run is over for whatever reason, and on a leash
(`worker_service.clients.leash`) for the case that the worker itself is killed. Addresses go in through standard input, the
report comes out of standard output; its environment is empty but for what a program needs to run.
"""

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from shared.errors import Permanent
from shared.nmap import program
from shared.nmap.report import Reader, Report, ReportError

POLL_SECONDS = 0.2
"""How soon a cancel, or the end of the time, is noticed."""
MAX_BYTES = 512 * 1024 * 1024
"""Largest report; what it says is kept in a fraction of that."""
_PIECE = 1 << 16
_COMPLAINT = 2_000
_LEASH = Path(__file__).with_name("leash.py")
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}
_CAP_NET_RAW = 13


@dataclass(frozen=True)
class Outcome:
    """What nmap told, and why not all."""

    report: Report
    reason: str = ""
    """Why it did not come to its end; empty when it did."""


def may_use_raw_sockets() -> bool:
    """Whether a child of this process may: as root with the capability, or by an ambient one (capabilities(7))."""
    which = "CapEff" if os.geteuid() == 0 else "CapAmb"
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:  # no Linux
        return os.geteuid() == 0
    held = next((line.split()[1] for line in status.splitlines() if line.startswith(f"{which}:")), "0")
    return bool(int(held, 16) >> _CAP_NET_RAW & 1)


def scan(
    arguments: Sequence[str],
    addresses: Iterable[str],
    seconds: float,
    checkpoint: Callable[[int], None],
) -> Outcome:
    """Run nmap over `addresses` for at most `seconds`.

    `checkpoint` is called several times a second with how many hosts have been told; what it raises ends nmap and is
    raised on. Raises Permanent when nmap is not installed.
    """
    nmap = program.find()
    if nmap is None:
        raise Permanent(program.MISSING)
    reader = Reader()
    with tempfile.TemporaryFile() as listing:
        listing.write("".join(f"{address}\n" for address in addresses).encode())
        listing.seek(0)
        with _running([nmap, *arguments], listing) as process:
            reason = _follow(process, reader, time.monotonic() + seconds, checkpoint)
    if reason == _TIME:
        reason = f"nmap was stopped after {seconds:.0f} s (VEDETTE_SCAN_SECONDS)"
    return Outcome(reader.report, reason)


_TIME = "time"


@contextmanager
def _running(command: Sequence[str], listing: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """nmap while the block lasts; at its end the whole process group is gone and reaped."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(_LEASH), str(os.getpid()), *command],
        stdin=listing,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_ENVIRONMENT,
        cwd="/",
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _follow(
    process: subprocess.Popen[bytes], reader: Reader, deadline: float, checkpoint: Callable[[int], None]
) -> str:
    """Read what nmap writes until it ends; why it did not come to its end, or nothing."""
    complaint = b""
    taken = 0
    with selectors.DefaultSelector() as selector:
        for stream in (process.stdout, process.stderr):
            selector.register(stream, selectors.EVENT_READ)  # type: ignore[arg-type]  # both are pipes
        while selector.get_map():
            checkpoint(len(reader.report.hosts))
            if time.monotonic() >= deadline:
                return _TIME
            for key, _ in selector.select(POLL_SECONDS):
                piece = os.read(key.fd, _PIECE)
                if not piece:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stderr:
                    complaint = (complaint + piece)[-_COMPLAINT:]
                else:
                    taken += len(piece)
                    if taken > MAX_BYTES:
                        return f"nmap's report is larger than {MAX_BYTES:,} bytes"
                    try:
                        reader.feed(piece)
                    except ReportError as error:
                        return f"nmap's report cannot be read: {error}"
    return _why_not(process, reader, complaint.decode(errors="replace"))


def _why_not(process: subprocess.Popen[bytes], reader: Reader, complaint: str) -> str:
    """Why nmap, having closed its output, did not come to its end; nothing when it did."""
    code = process.wait(POLL_SECONDS * 25)
    if code == 0 and reader.report.finished:
        return ""
    said = " ".join(complaint.split())
    return f"nmap ended with code {code}" + (f": {said}" if said else "")
