"""Hostile documents are cheap: each is read in a process of its own, which reports time and memory."""

import gzip
import json
import subprocess
import sys

import pytest

CDX = b'{"bomFormat":"CycloneDX","specVersion":"1.5","components":['
XML = b'<bom xmlns="http://cyclonedx.org/schema/bom/1.5"><components>'
TAGS = b"SPDXVersion: SPDX-2.3\n"
NEARLY = 60_000_000  # just under the largest document that is read


def million():
    return (
        CDX
        + b",".join(b'{"type":"library","name":"part-%d","version":"%d"}' % (i, i) for i in range(1_000_000))
        + b"]}"
    )


def million_in_xml():
    return XML + b"".join(
        b"<component><name>p%d</name><version>%d</version></component>" % (i, i) for i in range(900_000)
    )


def many_and_a_broken_end():
    return XML + b"".join(
        b"<component><name>p%d</name><version>%d</version></component>" % (i, i) for i in range(150_000)
    )


def nested(inner, levels=60):
    return CDX + b'{"name":"a","components":[' * levels + inner + b"]}" * levels + b"]}"


BOMBS = {
    "a million components": million,
    "a million components packed": lambda: gzip.compress(million()[:47_000_000]),
    "a million components in XML": million_in_xml,
    "a million packages": lambda: TAGS + b"PackageName: a\n" * 1_000_000,
    "many components and a broken end": many_and_a_broken_end,
    "a hundredfold gzip": lambda: gzip.compress(b'{"bomFormat":"CycloneDX"' + b" " * 63_000_000),
    "a thousandfold gzip": lambda: gzip.compress(b"\0" * 200_000_000, 1),
    "a list of lists": lambda: CDX + b"[]," * (NEARLY // 3) + b"0]}",
    "lists within a component": lambda: CDX + b'{"name":"a","x":[' + b"[]," * (NEARLY // 3) + b"0]}]}",
    "a long name of escapes": lambda: CDX + b'{"name":"' + b"\\n" * (NEARLY // 2) + b'"}]}',
    "a long text at the bottom": lambda: nested(b'{"x":"' + b"a" * NEARLY + b'"}'),
    "long lists at the bottom": lambda: nested(b'{"x":[' + b"0," * (NEARLY // 2) + b"0]}"),
    "nothing usable": lambda: CDX + b'{"name":{}},' * 199_000 + b"{}]}",
    "small elements": lambda: XML + b"<a/>" * (NEARLY // 4),
    "elements all different": lambda: XML + b"".join(b"<a%d/>" % i for i in range(1_000_000)),
    "empty lines": lambda: TAGS + b"\n" * NEARLY,
    "texts without end": lambda: TAGS + (b"A: <text>" + b"a" * 50 + b"\n") * 990_000 + b"PackageName: ",
}

READING = """
import json, resource, sys, time
from pathlib import Path
from shared.sbom import SbomError, read

def most_memory():
    try:  # getrusage would give what the parent process had before it became this one.
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

data = Path(sys.argv[1]).read_bytes()
before, start = most_memory(), time.process_time()
try:
    answer = f"read: {len(read(data).components)} components"
except SbomError as error:
    answer = str(error)
seconds = time.process_time() - start
print(json.dumps([answer, seconds, most_memory() - before]))
"""


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_hostile_document_is_refused_cheaply(bomb, tmp_path):
    path = tmp_path / "bomb"
    path.write_bytes(bomb())

    output = subprocess.run(
        [sys.executable, "-c", READING, path], check=True, capture_output=True, text=True
    ).stdout

    answer, seconds, grown = json.loads(output)
    path.unlink()
    assert not answer.startswith("read:"), answer
    assert seconds < 10, answer  # of CPU; two on a quiet machine, and minutes where a limit is missing
    assert grown < 64_000_000, answer
