"""The NVD's feed files over HTTP (https://nvd.nist.gov/vuln/data-feeds): `.meta` first, then the file, verified.

`.meta` has lines `lastModifiedDate, size, zipSize, gzSize, sha256`; size and digest are those of the uncompressed JSON.
"""

import datetime as dt
import hashlib
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import requests

from shared.errors import Permanent, Transient
from worker_service.clients.http import Caller, Spoiled, describe
from worker_service.clients.nvd_text import moment

_CHUNK = 256 * 1024
_LARGEST_META = 4096
_DIGEST = re.compile(r"[0-9A-Fa-f]{64}")


class _OtherBytes(Exception):
    """The file is not the one that the `.meta` describes: it may have been written anew in between."""


@dataclass(frozen=True)
class Meta:
    """What a `.meta` file says."""

    last_modified: dt.datetime
    size: int
    """Of the uncompressed JSON."""
    gz_size: int
    sha256: str
    """Of the uncompressed JSON, in lower case."""


@dataclass(frozen=True)
class NvdFeedFiles:
    """Fetches feeds into `folder`."""

    url: str
    caller: Caller
    folder: Path
    token: str | None = field(default=None, repr=False)
    """For an upstream that wants one; the NVD's feeds do not. A redirect to another host does not take it along."""

    def meta(self, name: str) -> Meta | None:
        """What the `.meta` of the feed `name` (a year, `modified`) says; None when there is no such feed.

        Raises Transient when it cannot be had, Permanent when it is refused.
        """
        return self.caller.call(f"{self._base(name)}.meta", _read_meta, headers=self._headers())

    def fetch(self, name: str, known: str | None = None) -> tuple[Meta, Path | None] | None:
        """The feed's `.meta` and its verified file; no file when its digest is `known`, None when there is no such feed.

        A file that a killed fetch left verified is not fetched again. Raises as `meta` does, and Transient when file and
        `.meta` never agree.
        """
        patience = self.caller.patience
        for attempt in range(1, patience.attempts + 1):
            meta = self.meta(name)
            if meta is None:
                return None
            if meta.sha256 == known:
                return meta, None
            try:
                return meta, self._file(name, meta)
            except _OtherBytes as error:
                self.caller.troubles.add(f"{self.caller.party} {error}")
            if attempt < patience.attempts:
                self.caller.pause(patience.backoff(attempt))
        raise Transient(f"The feed {name} and its .meta do not agree ({patience.attempts} attempts).")

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def _base(self, name: str) -> str:
        return f"{self.url.rstrip('/')}/nvdcve-2.0-{name}"

    def _file(self, name: str, meta: Meta) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"nvdcve-2.0-{name}.json.gz"
        if path.is_file() and _is(path, meta):
            return path
        part = path.with_suffix(".part")

        def save(response: requests.Response) -> None:
            _check(response, name)
            with part.open("wb") as file:
                proof = _Proof(meta, name)
                for chunk in response.iter_content(_CHUNK):
                    self.caller.pause(0)
                    proof.take(chunk)
                    file.write(chunk)
                proof.end()

        try:
            self.caller.call(
                f"{self._base(name)}.json.gz", save, headers=self._headers() | {"Accept-Encoding": "identity"}
            )
            part.replace(path)
        except OSError as error:
            raise Transient(f"The feed {name} cannot be stored: {error.strerror}") from error
        finally:
            part.unlink(missing_ok=True)
        return path


class _Proof:
    """Compares a file with its `.meta` while it comes in, and stops at the first byte too many."""

    def __init__(self, meta: Meta, name: str) -> None:
        self._meta, self._name = meta, name
        self._packed = self._plain = 0
        self._digest = hashlib.sha256()
        self._unpack = zlib.decompressobj(wbits=31)

    def take(self, chunk: bytes) -> None:
        """The next bytes of the file."""
        if self._packed == 0 and chunk.lstrip()[:1] == b"<":
            raise Spoiled(f"answered an HTML page where the feed {self._name} belongs")
        self._packed += len(chunk)
        while chunk:
            try:
                plain = self._unpack.decompress(chunk, _CHUNK * 4)
            except zlib.error:
                raise _OtherBytes(f"gave a feed {self._name} that is no gzip file") from None
            self._plain += len(plain)
            self._digest.update(plain)
            if self._plain > self._meta.size:
                raise _OtherBytes(f"gave a feed {self._name} that is larger than its .meta says")
            chunk = self._unpack.unconsumed_tail

    def end(self) -> None:
        """The file is complete."""
        if not self._unpack.eof:
            raise Spoiled(f"gave a feed {self._name} that breaks off")
        if (self._packed, self._plain) != (self._meta.gz_size, self._meta.size):
            raise _OtherBytes(f"gave a feed {self._name} of another size than its .meta says")
        if self._digest.hexdigest() != self._meta.sha256:
            raise _OtherBytes(f"gave a feed {self._name} whose digest is not the one in its .meta")


def parse_meta(text: str) -> Meta | None:
    """Read a `.meta` file; None if it is none."""
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    modified = moment(lines.get("lastModifiedDate", "").strip())
    size, gz_size, digest = (lines.get(name, "").strip() for name in ("size", "gzSize", "sha256"))
    if modified is None or not size.isdecimal() or not gz_size.isdecimal() or not _DIGEST.fullmatch(digest):
        return None
    return Meta(modified, int(size), int(gz_size), digest.lower())


def verify(path: Path, meta: Meta) -> bool:
    """Whether the file at `path` is the one that `meta` describes."""
    proof = _Proof(meta, path.name)
    try:
        for chunk in _chunks(path):
            proof.take(chunk)
        proof.end()
    except (_OtherBytes, Spoiled):
        return False
    return True


def _is(path: Path, meta: Meta) -> bool:
    return path.stat().st_size == meta.gz_size and verify(path, meta)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _read_meta(response: requests.Response) -> Meta | None:
    if response.status_code == requests.codes.not_found:
        return None
    _check(response, ".meta")
    text = next(response.iter_content(_LARGEST_META), b"").decode("ascii", "replace")
    meta = parse_meta(text)
    if meta is None:
        html = " an HTML page" if text.lstrip().startswith("<") else " something else"
        raise Spoiled(f"answered{html} where a .meta file belongs")
    return meta


def _check(response: requests.Response, name: str) -> None:
    if response.status_code >= 500:
        raise Spoiled(describe(response))
    if not response.ok:
        raise Permanent(f"The NVD's feed {name}: {describe(response)}; is NVD_FEED_URL right?")
