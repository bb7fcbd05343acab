"""JSON at the speed of C and the price of a slice.

One pass of msgspec proves that the whole buffer is JSON and finds the few members of the top object
that matter; everything else is skipped without building a single object, however dense it is. What
is inside is then walked as slices of the same buffer. Where a document repeats a key, the last one
counts, as for most readers of JSON. NaN, lone surrogates and other things that JSON does not know
are refused with the whole document, wherever they stand.
"""

import re
from collections.abc import Iterator
from functools import reduce
from typing import Final, TypeVar

import msgspec
from msgspec import Raw

from shared.sbom.builder import Builder
from shared.sbom.model import SbomError
from shared.sbom.source import Buffer, check_utf8, line_at

_Struct = TypeVar("_Struct", bound=msgspec.Struct)

ABSENT: Final = Raw(b"null")
"""What a member that is not there holds: it reads like null."""
LARGE: Final = 256 * 1024
"""From so many bytes on an object is read member by member, and a list of details not at all."""
# All three are only ever used on what is known to be JSON, and try nothing twice.
_FLAT: Final = rb'(?:[^][{}"]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+'
_BRACKET: Final = re.compile(_FLAT + rb"([][{}])", re.DOTALL)
# An object with up to four levels of brackets in it.
_SHALLOW: Final = re.compile(
    rb"[{[]%b[]}]" % reduce(lambda inner, flat: rb"(?:%b[{[]%b[]}])*+%b" % (flat, inner, flat), [_FLAT] * 5),
    re.DOTALL,
)
_OFFSET: Final = re.compile(r" \(byte (\d+)\)$")
_OPENING: Final = (b"{", b"[")


class Envelope(msgspec.Struct, rename="camel"):
    """The members of the top object that any JSON format needs, unread."""

    bom_format: Raw = ABSENT
    spec_version: Raw = ABSENT
    metadata: Raw = ABSENT
    components: Raw = ABSENT
    spdx_version: Raw = ABSENT
    name: Raw = ABSENT
    document_describes: Raw = ABSENT
    packages: Raw = ABSENT
    relationships: Raw = ABSENT
    context: Raw = msgspec.field(default=ABSENT, name="@context")
    sbom: Raw = ABSENT


_ENVELOPE: Final = msgspec.json.Decoder(Envelope)
_TEXT: Final = msgspec.json.Decoder(str)
_LIST: Final = msgspec.json.Decoder(list[Raw])


def envelope(buffer: Buffer) -> Envelope:
    """Check that the buffer is one JSON object and give its members of interest."""
    check_utf8(buffer)
    try:
        return _ENVELOPE.decode(buffer)
    except msgspec.ValidationError:
        raise SbomError("the document", "it is JSON, but not an object") from None
    except msgspec.DecodeError as error:
        raise _located(buffer, str(error)) from None
    except RecursionError:
        raise SbomError("the document", "its brackets are nested too deep to be read") from None


def members(raw: Raw, kind: type[_Struct]) -> _Struct | None:
    """Give an object's members of interest, or None when it is not an object."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError:
        return None


def kind_of(raw: Raw | memoryview) -> str:
    """Name a JSON value's kind for a message."""
    first = bytes(memoryview(raw)[:1])
    return {b"{": "an object", b"[": "a list", b'"': "a text", b"t": "true", b"f": "false", b"n": "null"}.get(
        first, "a number"
    )


class UnusableError(ValueError):
    """A member has a value that is no text; the message continues "it ..."."""


def text(raw: Raw, longest: int) -> str | None:
    """Give a text, or a number as it is written; raise `UnusableError` for anything else."""
    view = memoryview(raw)
    kind = kind_of(raw)
    if kind == "null":
        return None
    if kind not in ("a text", "a number"):
        raise UnusableError(f"is {kind}, not a text")
    if len(view) > 6 * longest + 2:  # The longest way to write a character is \\uXXXX.
        raise UnusableError(f"is longer than {longest:,} characters")
    if kind == "a number":
        return bytes(view).decode()
    return _TEXT.decode(view)


class Members:
    """Reads the members of one object that breaks its schema, one by one, listing what is no use."""

    def __init__(self, where: str, builder: Builder) -> None:
        self._where = where
        self._builder = builder

    def text(self, member: str, raw: Raw) -> str | None:
        """Give a text, or None when the member is absent or listed as unusable."""
        try:
            return self.needed(raw)
        except UnusableError as error:
            self._builder.skip(f"{self._where}.{member}", f"it {error}")
            return None

    def needed(self, raw: Raw) -> str | None:
        """Give a text without which the object is another one; raise `UnusableError` when it is none."""
        return text(raw, self._builder.limits.text)

    def entries(self, member: str, raw: Raw, kind: type[_Struct]) -> list[_Struct]:
        """Give the readable objects of a list that is not too long to be built."""
        what = kind_of(raw)
        if what == "null":
            return []
        if what != "a list" or len(memoryview(raw)) > LARGE:
            why = f"it is {what}, not a list" if what != "a list" else f"it is longer than {LARGE:,} bytes"
            self._builder.skip(f"{self._where}.{member}", why)
            return []
        found = []
        for index, item in enumerate(_LIST.decode(raw)):
            entry = members(item, kind)
            if entry is None:
                self._builder.skip(
                    f"{self._where}.{member}[{index}]", "it does not have the form of such an entry"
                )
            else:
                found.append(entry)
        return found


def check_list(raw: Raw, where: str) -> None:
    """Refuse a document whose main list is something else."""
    if kind_of(raw) not in ("a list", "null"):
        raise SbomError(where, f"it is {kind_of(raw)}, not a list")


def objects(raw: Raw, where: str, builder: Builder) -> Iterator[tuple[str, memoryview]]:
    """Walk the objects (or lists) of a list as slices, however long it is, with the path of each."""
    view = memoryview(raw)
    kind = kind_of(raw)
    if kind == "null":
        return
    if kind != "a list":
        builder.skip(where, f"it is {kind}, not a list")
        return
    builder.step(where, _occurrences(view, b'"') // 2 + _openings(view))
    index, end = 0, 1
    while True:
        found = _BRACKET.match(view, end)
        if found is None:
            return  # Not reached with JSON.
        following = index if end == 1 else index + 1
        index += _between(view[end : found.end() - 1], f"{where}[{following}]", builder)
        if found[1] not in _OPENING:
            return
        start = found.end() - 1
        path = f"{where}[{index}]"
        end = _end_of(view, start)
        yield path, view[start:end]


def count(raw: Raw, walk: Iterator[tuple[str, memoryview]], builder: Builder) -> None:
    """Refuse a list of too many objects before anything is built of them.

    There are no more of them than opening brackets, which are counted at a glance; only when there are
    too many brackets are the objects walked.
    """
    if _openings(memoryview(raw)) > builder.limits.components:
        for found, (where, _) in enumerate(walk, 1):
            builder.check_count(where, found)


def _openings(view: memoryview) -> int:
    return _occurrences(view, b"{") + _occurrences(view, b"[")


def _occurrences(view: memoryview, byte: bytes) -> int:
    return sum(bytes(view[at : at + LARGE]).count(byte) for at in range(0, len(view), LARGE))


def _end_of(view: memoryview, start: int) -> int:
    """Find where the object that starts here ends: at once when it is shallow, else bracket by bracket."""
    shallow = _SHALLOW.match(view, start)
    if shallow is not None:
        return shallow.end()
    depth = 0
    for found in _BRACKET.finditer(view, start):
        depth += 1 if found[1] in _OPENING else -1
        if depth == 0:
            return found.end()
    return len(view)  # Not reached with JSON.


def _between(gap: memoryview, where: str, builder: Builder) -> int:
    """Look at what stands between two objects: normally a comma. Give the number of items passed."""
    commas, clean = 0, True
    for start in range(0, len(gap), LARGE):
        piece = bytes(gap[start : start + LARGE])
        commas += piece.count(b",")
        clean = clean and not piece.strip(b" \t\r\n,")
    if not clean:
        builder.leave_out(where, "one or more entries from here on are not objects")
    return commas


def _located(buffer: Buffer, message: str) -> SbomError:
    """Turn msgspec's message into a place and a reason."""
    if message == "Input data was truncated":
        return SbomError("the end of the document", "the JSON ends too early")
    found = _OFFSET.search(message)
    where = line_at(buffer, int(found[1])) if found else "the document"
    reason = message[: found.start()] if found else message
    if "surrogate" in reason or "hex escape" in reason:
        reason = "half of a surrogate pair stands alone"
    return SbomError(where, f"the JSON is malformed: {reason.removeprefix('JSON is malformed: ')}")
