r"""Our own total order for the free-form versions that vendors, and so the NVD's criteria, use.

A version is read as runs of digits and runs of letters; everything else only separates (``7.0.5-10`` is
``7.0.5.10``, ``12.2\(14\)sx2`` is ``12.2.14.sx.2``). From the left, run by run:

* a number compares as a number: ``1.9 < 1.10``, ``1.02 = 1.2``; missing numbers are zeros: ``1.0 = 1.0.0``;
* a pre-release word sorts before the end, in the order of PRE_RELEASE: ``2.0-dev < 2.0-beta9 < 2.0-rc1 <
  2.0``; a single ``a`` or ``b`` between two numbers is alpha or beta (``1.0b2``), elsewhere a patch letter;
* the end sorts before every other word (``1.0.1 < 1.0.1a < 1.0.1g``, ``7.2 < 7.2p2 < 7.2sp1``), words sort by
  their letters, and a word before a number (``1.0a < 1.0.1``);
* words that only say "this is the release" (``ga``, ``final``, ...) count as nothing: ``4.0.0.final =
  4.0.0``;
* a leading ``v`` or ``version`` goes; a leading date compares as one however it is written:
  ``20150619 = 2015-06-19``; a tilde marks a pre-release as in Debian: ``1.0~anything < 1.0``;
* the CPE attribute ``update`` is read as if written behind the version: ``7.2`` with ``p2`` is ``7.2p2``.

Two versions are equal exactly when their normal forms (`normal`) are the same text. Undecided, not ordered,
is what has no number in it (``latest``), a commit hash, a range where a version should stand (``^1.2``,
``[1.0,2.0]``, ``>=1.0``), and two versions that begin with different words (``fw12`` and ``r3``): numbers of
different sequences.
"""

import re
from typing import NamedTuple

PRE_RELEASE = {
    "dev": 0,
    "nightly": 0,
    "snapshot": 0,
    "canary": 0,
    "alpha": 1,
    "beta": 2,
    "milestone": 3,
    "eap": 4,
    "ea": 4,
    "ctp": 4,
    "tp": 4,
    "test": 4,
    "pre": 4,
    "rc": 5,
}
"""The words that sort before the release, with their rank; words of one rank sort by their letters."""

_ALIASES = {
    "patchlevel": "p",
    "patch": "p",
    "pl": "p",
    "upd": "update",
    "candidate": "rc",
    "cr": "rc",
    "prerelease": "pre",
    "preview": "pre",
}
_RELEASE_WORDS = frozenset({"final", "ga", "gold", "release", "rtm", "stable"})
# What follows a version in CPE's update attribute, and so may be cut off to get the version it updates.
_UPDATE_WORDS = frozenset(PRE_RELEASE) | {"p", "sp", "update", "u", "fp", "sr", "hf", "hotfix", "cu", "mr"}

_MAX_LENGTH = 256
_DOTTED = re.compile(r"\d+(?:\.\d+)*")
_PLAIN = re.compile(r"\d{1,7}(?:\.\d{1,18}){0,9}")
# Its own normal form: numbers without zeros in front or at the end; too short in front to be a date.
_NORMAL = re.compile(r"(?:0|[1-9]\d{0,6})(?:\.(?:0|[1-9]\d{0,17})){0,9}(?<!\.0)", re.ASCII)
_PREFIX = re.compile(r"\A[^a-z0-9~]*(?:(?:v|ver|version)[^a-z0-9~]*(?=\d))?")
_DATE = re.compile(r"\A0*((?:19[89]|20\d)\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?!\d)")
_RUN = re.compile(r"(\d+)|([a-z]+)|(~)")
_RANGE = re.compile(r"[\^~<>!\[]|\([^)]*,|.*\|\|")
_HASH = re.compile(r"(?=.*[a-f].*\d.*[a-f]|.*\d.*[a-f].*\d)[0-9a-f]{7,64}")

Run = tuple[int, int, str]
"""One run as it sorts: its kind (0 pre-release, 1 end, 2 word, 3 number), number or rank, letters."""

_TILDE: Run = (0, -1, "~")
_END: Run = (1, 0, "")


class Key(NamedTuple):
    """A version as it sorts: compare `runs` of keys with the same `family`, the word that they begin with."""

    family: str
    runs: tuple[Run, ...]


def join(version: str, update: str) -> str:
    """A version with its CPE update attribute written behind it: ``7.2`` and ``p2`` give ``7.2-p2``."""
    return f"{version}-{update}" if update else version


def normal(version: str) -> str:
    """The normal form: equal for two versions exactly when they are the same version in this order."""
    if _NORMAL.fullmatch(version):
        return version
    text = version.strip().lower()
    if _DOTTED.fullmatch(text):
        return _normal_dotted(text)
    if _RANGE.match(text):
        return text
    return _write(_runs(text)) or text


def bases(version: str) -> tuple[str, ...]:
    """The normal forms of the versions that this one is an update of: ``7.2p2`` is an update of ``7.2``."""
    text = version.strip().lower()
    if _DOTTED.fullmatch(text) or _RANGE.match(text):
        return ()
    runs = _runs(text)
    cut = runs[:-1] if runs and runs[-1][0] == 3 else runs
    if len(cut) < 2 or cut[-1][0] == 3 or cut[-1][2] not in _UPDATE_WORDS:
        return ()
    return (_write(_strip(cut[:-1])),)


def key(version: str) -> Key | None:
    """The sort key, or None when the version has no place in any order."""
    text = version.strip().lower()
    if _PLAIN.fullmatch(text):
        numbers = list(map(int, text.split(".")))
        while len(numbers) > 1 and not numbers[-1]:
            numbers.pop()
        return Key("", (*[(3, number, "") for number in numbers], _END))
    runs = _runs(text)
    if not any(kind == 3 for kind, _, _ in runs) or _HASH.fullmatch(text) or _RANGE.match(text):
        return None
    return Key(runs[0][2], (*runs, _END))


def _normal_dotted(text: str) -> str:
    if len(text) > _MAX_LENGTH or _DATE.match(text):
        return _write(_runs(text)) or text
    numbers = text.split(".")
    while len(numbers) > 1 and not numbers[-1].strip("0"):
        numbers.pop()
    return ".".join([number if number[0] != "0" else number.lstrip("0") or "0" for number in numbers])


def _runs(text: str) -> list[Run]:
    if len(text) > _MAX_LENGTH:
        return []
    text = _PREFIX.sub("", text, count=1)
    text = _DATE.sub(r"\1.\2.\3", text, count=1)
    runs: list[Run] = []
    for found in _RUN.finditer(text):
        number, word, _ = found.groups()
        if number:
            runs.append((3, int(number), ""))
        elif word:
            run = _word(text, found, runs)
            if run:
                runs = [*_strip(runs), run]
        else:
            runs = [*_strip(runs), _TILDE]
    return _strip(runs)


def _word(text: str, found: re.Match[str], before: list[Run]) -> Run | None:
    word = _ALIASES.get(found.group(), found.group())
    if not before:
        return (2, 0, word)
    if word in _RELEASE_WORDS and any(kind == 3 for kind, _, _ in before):
        return None
    if len(found.group()) == 1:
        word = _single_letter(text, found)
    rank = PRE_RELEASE.get(word)
    return (2, 0, word) if rank is None else (0, rank, word)


def _single_letter(text: str, found: re.Match[str]) -> str:
    """``a``, ``b``, ``m`` directly before a number are alpha, beta, milestone, unless a bracket precedes."""
    letter = found.group()
    if letter not in "abm" or not text[found.end() : found.end() + 1].isdecimal():
        return letter
    if text[found.start() - 1] in ")(\\" or (letter == "m" and text[found.start() - 1].isdecimal()):
        return letter
    return {"a": "alpha", "b": "beta", "m": "milestone"}[letter]


def _strip(runs: list[Run]) -> list[Run]:
    """Drop the zeros at the end, but never the first number."""
    end = len(runs)
    while end > 1 and runs[end - 1][:2] == (3, 0):
        end -= 1
    return runs[:end]


def _write(runs: list[Run]) -> str:
    return ".".join(word or str(number) for _, number, word in runs)
