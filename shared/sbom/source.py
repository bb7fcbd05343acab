"""From what was sent to bytes in memory that are mostly UTF-8: size limits, gzip, UTF-16.

XML may declare any other encoding in its first line; its parser sees to that.
"""

import codecs
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final, TypeAlias

from shared.sbom.model import Limits, SbomError, SbomTooLarge

Buffer: TypeAlias = bytes | bytearray

_PIECE: Final = 1 << 16
_RATIO_FROM: Final = 8_000_000
_GZIP_MEMBERS: Final = 1_000
_GZIP: Final = b"\x1f\x8b"
# Longest first: the UTF-32 mark begins with the UTF-16 one.
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UNMARKED: Final = (
    (b"{\0", "utf-16-le"),
    (b"<\0", "utf-16-le"),
    (b"\0{", "utf-16-be"),
    (b"\0<", "utf-16-be"),
)
_OTHER_PACKINGS: Final = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd"),
    (b"BZh", "packed with bzip2"),
    (b"\xfd7zXZ", "packed with xz"),
    (_GZIP, "packed with gzip twice"),
)


def load(data: Buffer | memoryview | BinaryIO, limits: Limits) -> tuple[Buffer, str | None]:
    """Give the document's bytes, unpacked, and their encoding when that is known beyond doubt."""
    buffer = _take(data, limits)
    if buffer.startswith(_GZIP):
        buffer = _join(_gunzip(buffer, limits))
    for magic, what in _OTHER_PACKINGS:
        if buffer.startswith(magic):
            raise SbomError(
                "the first bytes", f"the document is {what}; send it plain or packed with gzip once"
            )
    if buffer.startswith(codecs.BOM_UTF8):
        if buffer is data or isinstance(buffer, bytes):
            return buffer[len(codecs.BOM_UTF8) :], "utf-8"
        del buffer[: len(codecs.BOM_UTF8)]  # Our own, so that it need not be copied.
        return buffer, "utf-8"
    for mark, encoding in (*_MARKS, *_UNMARKED):
        if buffer.startswith(mark):
            return _join(_recode(buffer, encoding, limits)), "utf-8"
    return buffer, None


def check_utf8(buffer: Buffer) -> None:
    """Refuse bytes that are not UTF-8, saying on which line."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(buffer), _PIECE):
        piece = buffer[start : start + _PIECE]
        try:
            decoder.decode(piece, final=start + _PIECE >= len(buffer))
        except UnicodeDecodeError as error:
            # The decoder may have held back up to three bytes of the piece before.
            offset = start + len(piece) - len(error.object) + error.start
            raise SbomError(line_at(buffer, offset), "the text is not UTF-8") from None


def line_at(buffer: Buffer, offset: int) -> str:
    """Say where in the document an offset is, for a person with an editor."""
    line = buffer.count(b"\n", 0, offset) + 1
    column = offset - buffer.rfind(b"\n", 0, offset)
    return f"line {line}, column {column}"


def _take(data: Buffer | memoryview | BinaryIO, limits: Limits) -> Buffer:
    if isinstance(data, (bytes, bytearray)):
        buffer: Buffer = data
    elif isinstance(data, memoryview):
        buffer = b"" if data.nbytes > limits.size else bytes(data)
        _check_size(data.nbytes, limits.size, "is")
    else:
        buffer = bytearray()
        while piece := data.read(_PIECE):
            buffer += piece
            _check_size(len(buffer), limits.size, "is")
    _check_size(len(buffer), limits.size, "is")
    return buffer


def _check_size(size: int, limit: int, verb: str) -> None:
    if size > limit:
        raise SbomTooLarge(
            "the whole document", f"it {verb} larger than {limit / 1e6:g} MB, the largest that is read"
        )


def _gunzip(packed: Buffer, limits: Limits) -> Iterator[bytes]:
    """Unpack piece by piece; a bomb is refused before it is held in memory."""
    consumed, produced, members = 0, 0, 1
    unpacker = zlib.decompressobj(wbits=31)
    for start in range(0, len(packed), _PIECE):
        rest = bytes(packed[start : start + _PIECE])
        while rest:
            if unpacker.eof:
                if not rest.startswith(_GZIP):
                    return  # Padding or rubbish after the last member, which gzip itself ignores too.
                members += 1
                unpacker = zlib.decompressobj(wbits=31)
            if members > _GZIP_MEMBERS:
                raise SbomError("the gzip packing", f"it has more than {_GZIP_MEMBERS:,} parts")
            before = len(rest)
            try:
                piece = unpacker.decompress(rest, _PIECE)
            except zlib.error:
                raise SbomError(f"byte {consumed:,} of the gzip packing", "it is damaged") from None
            rest = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
            consumed += before - len(rest)
            produced += len(piece)
            _check_unpacked(consumed, produced, limits)
            yield piece
    if not unpacker.eof:
        raise SbomError("the end of the gzip packing", "it ends too early: the upload is incomplete")


def _check_unpacked(consumed: int, produced: int, limits: Limits) -> None:
    _check_size(produced, limits.unpacked, "unpacks to something")
    if produced > _RATIO_FROM and produced > limits.ratio * consumed:
        raise SbomError("the gzip packing", f"it unpacks to more than {limits.ratio} times its size")


def _recode(buffer: Buffer, encoding: str, limits: Limits) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    produced = 0
    for start in range(0, len(buffer), _PIECE):
        piece = buffer[start : start + _PIECE]
        try:
            text = decoder.decode(piece, final=start + _PIECE >= len(buffer))
            if start == 0:
                text = text.removeprefix("\ufeff")
            recoded = text.encode()
        except UnicodeError:
            where = f"bytes {start:,} to {start + len(piece):,}"
            raise SbomError(where, f"the text is not {encoding.upper()}, as its first bytes say") from None
        produced += len(recoded)
        _check_size(produced, limits.unpacked, "is")
        yield recoded


def _join(pieces: Iterator[bytes]) -> bytearray:
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
    return buffer
