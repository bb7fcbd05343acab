"""A file that somebody publishes at one address and replaces now and then: fetched only if it has changed.

What is packed with gzip, by the publisher or on the way, is unpacked as it comes in, so that a large one takes no room.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import requests

from shared.errors import Permanent
from worker_service.clients.http import Caller, Spoiled, describe

LARGEST = 256 * 1024 * 1024
"""Bytes, unpacked; those that are published have fewer than 16 million."""

_CHUNK = 64 * 1024
_GZIP = b"\x1f\x8b"

T = TypeVar("T")


@dataclass(frozen=True)
class Validators:
    """By what a publisher knows whether we hold what it has (RFC 9110 section 8.8); None: it did not say."""

    etag: str | None = None
    last_modified: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Of the request that asks only for something else."""
        named = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in named.items() if value}


@dataclass(frozen=True)
class Fetched(Generic[T]):
    """What was made of a file, and by what it will be known."""

    content: T
    validators: Validators


def fetch(
    caller: Caller,
    url: str,
    setting: str,
    read: Callable[[Iterable[bytes]], T],
    known: Validators = Validators(),
) -> Fetched[T] | None:
    """What `read` makes of the file's bytes, unpacked; None when it is still the one that is `known`.

    `read` raises Spoiled for what is not such a file, which is then asked for again. Raises Transient when it cannot be had,
    Permanent when it is refused: `setting` is the variable to look at then.
    """

    def use(response: requests.Response) -> Fetched[T] | None:
        if response.status_code == requests.codes.not_modified and known.headers:
            return None
        if response.status_code >= 500:
            raise Spoiled(describe(response))
        if response.status_code != requests.codes.ok:
            raise Permanent(f"{caller.party} {describe(response)}; is {setting} right?")
        content = read(unpacked(_incoming(caller, response)))
        headers = response.headers
        return Fetched(content, Validators(headers.get("ETag"), headers.get("Last-Modified")))

    return caller.call(url, use, headers={"Accept-Encoding": "identity", **known.headers})


def unpacked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes of a file, unpacked if it is a gzip file, in pieces of a limited size.

    Raises Spoiled when it is damaged, breaks off, or is larger than LARGEST.
    """
    size = 0
    for piece in _pieces(iter(chunks)):
        size += len(piece)
        if size > LARGEST:
            raise Spoiled("gave a file that is too large")
        yield piece


def _pieces(chunks: Iterator[bytes]) -> Iterator[bytes]:
    start = b""
    while len(start) < len(_GZIP) and (chunk := next(chunks, None)) is not None:
        start += chunk
    if not start.startswith(_GZIP):
        yield start
        yield from chunks
        return
    unpack = zlib.decompressobj(wbits=31)
    left: bytes | None = start
    while left is not None:
        try:
            while left:
                if unpack.eof:  # gzip files may follow one another (RFC 1952 section 2.2)
                    unpack = zlib.decompressobj(wbits=31)
                yield unpack.decompress(left, _CHUNK * 4)
                left = unpack.unused_data if unpack.eof else unpack.unconsumed_tail
        except zlib.error:
            raise Spoiled("gave a damaged gzip file") from None
        left = next(chunks, None)
    if not unpack.eof:
        raise Spoiled("gave a gzip file that breaks off")


def _incoming(caller: Caller, response: requests.Response) -> Iterator[bytes]:
    for chunk in response.iter_content(_CHUNK):
        caller.pause(0)
        yield chunk
