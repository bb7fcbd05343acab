"""Feed files of the NVD (`nvdcve-2.0-*.json` or `.json.gz`), read record by record in memory that does not grow.

A feed is one JSON object whose `vulnerabilities` is a long array (https://nvd.nist.gov/vuln/data-feeds). The array is cut
into blocks between two records, and only a block is decoded at a time. The cut is guessed from the bytes that stood
between the first two records; that a block decodes as whole records proves the guess, and where it does not, an exact
scanner takes over. So speed comes from a guess and correctness does not.
"""

import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from shared.errors import Permanent

BLOCK = 1024 * 1024
"""How much is read and decoded at a time."""
LARGEST_RECORD = 32 * 1024 * 1024
"""A record larger than this is none (the largest of the NVD is below 2 MB)."""

_GZIP_MAGIC = b"\x1f\x8b"
_ARRAY = re.compile(rb'"vulnerabilities"\s*:\s*\[')
_FIRST_KEY = re.compile(rb'\s*\{\s*"[^"\\]*"')
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},"]', re.DOTALL)
_RECORDS = msgspec.json.Decoder(list[msgspec.Raw])


class Head(msgspec.Struct, frozen=True):
    """What stands before the records."""

    total: int | None = msgspec.field(default=None, name="totalResults")
    timestamp: str | None = None
    """When the NVD wrote the feed, as it writes it."""
    format: str | None = None
    version: str | None = None


class Feed:
    """An open feed file. Every method raises Permanent, with what is wrong and where, when the file cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.digest = _digest(path)
        """SHA-256 of the file as it lies on the disk."""
        self._stream = _open(path)
        self._fault: Permanent | None = None
        try:
            self.head, self._rest = self._read_head()
        except BaseException:
            self._stream.close()
            raise

    def __enter__(self) -> "Feed":
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stream.close()

    def records(self) -> Iterator[bytes]:
        """Each element of `vulnerabilities` as JSON without insignificant white space, or as it came if it is not JSON.

        To be read once. A file that breaks off still gives the records that were complete before it says so.
        """
        count = 0
        buffer, separator = self._rest, None
        while chunk := self._read(BLOCK):
            buffer += chunk
            if separator is None:
                separator = _separator(buffer)
            cut = buffer.rfind(separator) + 1 if separator else 0
            block = _decode(buffer[:cut]) if cut else None
            if block is not None:
                # The cut stands behind a record's closing brace; the comma follows.
                buffer = buffer[buffer.index(b",", cut) + 1 :]
            else:
                block, buffer, ended = self._scan(buffer, count)
                if ended:
                    yield from block
                    return
            count += len(block)
            yield from block
        block, _, ended = self._scan(buffer, count)
        yield from block
        if not ended:
            raise Permanent(f"{self.path} ends within record {count + len(block)}: the file is not complete")

    def _read_head(self) -> tuple[Head, bytes]:
        start = self._read(BLOCK)
        found = _ARRAY.search(start)
        if found is None:
            raise self._fault or Permanent(f"{self.path} is not an NVD 2.0 feed: {_what_instead(start)}")
        try:
            head = msgspec.json.decode(start[: found.end()] + b"]}", type=Head)
        except msgspec.DecodeError as error:
            raise Permanent(f"{self.path} is not an NVD 2.0 feed: before its records, {error}") from None
        return head, start[found.end() :]

    def _read(self, size: int) -> bytes:
        """The next bytes, none at the end. What came before a fault is given first, the fault is raised next time."""
        parts: list[bytes] = []
        while self._fault is None and size > 0:
            try:
                part = self._stream.read1(size)
            except EOFError:
                self._fault = Permanent(f"{self.path} is cut off: its gzip stream has no end")
            except (OSError, zlib.error) as error:
                self._fault = Permanent(f"{self.path} cannot be read: {error}")
            else:
                if not part:
                    break
                parts.append(part)
                size -= len(part)
        if self._fault is not None and not parts:
            raise self._fault
        return b"".join(parts)

    def _scan(self, buffer: bytes, count: int) -> tuple[list[bytes], bytes, bool]:
        """The complete records at the start of `buffer`, what is left, and whether the array ended."""
        records: list[bytes] = []
        start = depth = 0
        for token in _TOKEN.finditer(buffer):
            mark = buffer[token.start() : token.end()]
            if mark in (b"{", b"["):
                depth += 1
            elif depth and mark in (b"}", b"]"):
                depth -= 1
            elif depth == 0 and mark in (b",", b"]"):
                records += _one(buffer[start : token.start()])
                start = token.end()
                if mark == b"]":
                    return records, buffer[start:], True
            elif depth == 0 and mark == b"}":
                raise Permanent(f"{self.path} is damaged: a stray }} after record {count + len(records)}")
            elif mark == b'"':
                break  # a string that goes on beyond the buffer
        if len(buffer) - start > LARGEST_RECORD:
            raise Permanent(f"{self.path} is damaged: record {count + len(records)} has no end")
        return records, buffer[start:], False


def _open(path: Path) -> gzip.GzipFile | io.BufferedReader:
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP_MAGIC
        return gzip.GzipFile(path) if packed else path.open("rb")
    except OSError as error:
        raise Permanent(f"{path} cannot be opened: {error.strerror}") from error


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Permanent(f"{path} cannot be opened: {error.strerror}") from error


def _what_instead(start: bytes) -> str:
    if not start.strip():
        return "it is empty"
    if start.lstrip()[:1] == b"<":
        return "it is HTML or XML"
    if b'"CVE_data_type"' in start:
        return "it has the shape of the 1.1 feeds, which the NVD has retired"
    return "it has no array `vulnerabilities`"


def _separator(buffer: bytes) -> bytes | None:
    """What stands between the first two records, from a closing brace to the next record's first key."""
    depth = 0
    for token in _TOKEN.finditer(buffer):
        mark = buffer[token.start() : token.end()]
        if mark in (b"{", b"["):
            depth += 1
        elif mark in (b"}", b"]"):
            if depth == 0:
                return None
            depth -= 1
        elif depth == 0 and mark == b",":
            key = _FIRST_KEY.match(buffer, token.end())
            close = buffer.rfind(b"}", 0, token.start())
            return buffer[close : key.end()] if key and close >= 0 else None
    return None


def _decode(block: bytes) -> list[bytes] | None:
    """The records of a block, or None if it does not hold whole ones."""
    try:
        return [bytes(raw) for raw in _RECORDS.decode(msgspec.json.format(b"[%b]" % block, indent=-1))]
    except (msgspec.DecodeError, RecursionError):
        return None


def _one(piece: bytes) -> list[bytes]:
    """One record without white space, as it is when it is not JSON, nothing when there is nothing."""
    if not piece.strip():
        return []
    try:
        return [msgspec.json.format(piece, indent=-1)]
    except (msgspec.DecodeError, RecursionError):
        return [piece]
