"""A small load balancer before several APIs, as one stands before a service that is deployed without a pause."""

import itertools
import selectors
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Front:
    """Passes each connection to one of the ports in turn.

    One that refuses the connection is passed over, which is all that it does about faults: what a service has accepted is
    its own to answer. `out` are the ports that get no new connections: who deploys takes a service out before ending it.
    """

    ports: Sequence[int]
    out: set[int] = field(default_factory=set)
    port: int = 0

    def serve(self, listener: socket.socket, stop: threading.Event) -> None:
        turn = itertools.cycle(range(len(self.ports)))
        while not stop.is_set():
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=self._pass, args=(client, next(turn)), daemon=True).start()

    def _pass(self, client: socket.socket, first: int) -> None:
        order = [self.ports[(first + number) % len(self.ports)] for number in range(len(self.ports))]
        with client:
            for port in [each for each in order if each not in self.out]:
                try:
                    service = socket.create_connection(("127.0.0.1", port), 5.0)
                except OSError:
                    continue
                with service:
                    service.settimeout(None)
                    _pump(client, service)
                return


def _pump(client: socket.socket, service: socket.socket) -> None:
    """Carry bytes both ways until the service closes."""
    other = {client: service, service: client}
    with selectors.DefaultSelector() as selector, suppress(OSError):
        for each in other:
            selector.register(each, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select(120):
                source = key.fileobj
                assert isinstance(source, socket.socket)
                data = source.recv(65536)
                if data:
                    other[source].sendall(data)
                elif source is service:
                    return
                else:
                    selector.unregister(source)


@contextmanager
def front(ports: Sequence[int]) -> Iterator[Front]:
    """A front on a free port while the block lasts."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        listener.settimeout(0.2)
        balancer = Front(ports, port=listener.getsockname()[1])
        thread = threading.Thread(target=balancer.serve, args=(listener, stop), daemon=True)
        thread.start()
        try:
            yield balancer
        finally:
            stop.set()
            thread.join()
