import gzip
import io
import zlib

import pytest

from shared.sbom import Limits, SbomError, read

TEXT = '{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"name":"Möwe"}]}'
PLAIN = TEXT.encode()
SMALL = Limits(size=2_000, unpacked=1_000)

FORMS = {
    "bytes": PLAIN,
    "bytearray": bytearray(PLAIN),
    "memoryview": memoryview(PLAIN),
    "file": io.BytesIO(PLAIN),
    "gzip": gzip.compress(PLAIN),
    "gzip file": io.BytesIO(gzip.compress(PLAIN)),
    "gzip of several parts": gzip.compress(PLAIN[:20]) + gzip.compress(PLAIN[20:]),
    "gzip with padding": gzip.compress(PLAIN) + b"\0" * 100,
    "UTF-8 with a mark": TEXT.encode("utf-8-sig"),
    "UTF-8 with a mark in a bytearray": bytearray(TEXT.encode("utf-8-sig")),
    "UTF-16 with a mark": TEXT.encode("utf-16"),
    "UTF-16 without a mark": TEXT.encode("utf-16-be"),
    "UTF-32 with a mark": TEXT.encode("utf-32"),
    "UTF-16 packed": gzip.compress(TEXT.encode("utf-16")),
    "blanks before": b" \r\n\t" + PLAIN,
}


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS)
def test_a_document_may_come_in_any_of_these_forms(data):
    assert [component.name for component in read(data).components] == ["Möwe"]


def test_what_was_passed_in_is_left_alone():
    data = bytearray(TEXT.encode("utf-8-sig"))
    read(data)

    assert data == TEXT.encode("utf-8-sig")


DAMAGED = {
    "too large": (b" " * 2_001, "larger than 0.002 MB"),
    "too large a file": (io.BytesIO(b" " * 2_001), "larger than 0.002 MB"),
    "too large a view": (memoryview(b" " * 2_001), "larger than 0.002 MB"),
    "a bomb": (gzip.compress(b" " * 100_000), "unpacks to something larger than 0.001 MB"),
    "an end too early": (gzip.compress(PLAIN)[:-10], "incomplete"),
    "a damaged middle": (gzip.compress(PLAIN)[:10] + b"\x07" * 60, "damaged"),
    "a wrong checksum": (gzip.compress(PLAIN)[:-8] + b"\0" * 8, "damaged"),
    "gzip in gzip": (gzip.compress(gzip.compress(PLAIN)), "gzip twice"),
    "zip": (b"PK\x03\x04....", "a ZIP archive"),
    "zstd": (b"\x28\xb5\x2f\xfd....", "zstd"),
    "half of UTF-16": (TEXT.encode("utf-16")[:-1], "not UTF-16"),
    "a lone surrogate in UTF-16": (b"\xff\xfe\x00\xd8a\x00", "not UTF-16"),
    "Latin-1": (TEXT.encode("latin-1"), "not UTF-8"),
    "half a character at the end": (PLAIN + b"\xc3", "not UTF-8"),
    "UTF-16 that grows": ("{" + "\u4e00" * 400, "larger than"),
}


@pytest.mark.parametrize(("data", "why"), DAMAGED.values(), ids=DAMAGED)
def test_what_cannot_be_unpacked_or_decoded_says_so(data, why):
    if isinstance(data, str):
        data = data.encode("utf-16")
    with pytest.raises(SbomError, match=why) as caught:
        read(data, limits=SMALL)
    assert caught.value.where


def test_a_ratio_beyond_that_of_any_real_document_is_refused_early():
    packed = zlib.compress(b" " * 40_000_000, wbits=31)

    with pytest.raises(SbomError, match="100 times its size"):
        read(packed)


def test_very_many_parts_are_refused():
    with pytest.raises(SbomError, match="more than 1,000 parts"):
        read(gzip.compress(b"") * 2_000)


def test_the_place_of_a_wrong_byte_is_given():
    with pytest.raises(SbomError) as caught:
        read(b'{\n "a": "' + b"x" * 70_000 + b'\xff"}')
    assert caught.value.where == "line 2, column 70008"
