r"""Ranges of versions as CNAs write them into one text: ``>= 1.0, < 1.2.3``, ``2.0 and earlier``, ``5.x``.

Read as meant where there is one way to read it. What is left is not guessed: its only bound is a text that no order
knows, so that whatever is compared with it is undecided.
"""

import re

Range = dict[str, str]
"""Bounds by the names of Criterion's fields, or one `version`; empty for every version."""

START, AFTER = "version_start_including", "version_start_excluding"
END, BEFORE = "version_end_including", "version_end_excluding"

_EVERY = frozenset(
    {"", "0", "*", "-", "n/a", "unspecified", "unknown", "all", "any", "all versions", "any version"}
)
_OPERATORS = {">=": START, ">": AFTER, "<=": END, "<": BEFORE}
_COMPARISON = re.compile(r"(<=|>=|<|>|=)\s*v?([0-9][^\s,;<>=|]*)")
_WILDCARD = re.compile(r"v?((?:\d{1,9}\.)*)(\d{1,9})\.?[*x]", re.IGNORECASE)
# The digit is looked for nearby: from every "ver" to the end of a long text takes minutes.
_PREFIX = re.compile(r"\b(?:firmware |software )?(?:versions?|ver\.?)\s*(?=\S{0,40}\d)", re.IGNORECASE)
_V = r"v?(\d[\w.+~-]*)"
_BEFORE = r"(?:prior to|before|earlier than|lower than|older than|less than)"
_THROUGH = r"(?:through|up to(?: and including)?|until|to)"
_PHRASES: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = tuple(
    (re.compile(f"{phrase}(?: versions?)?", re.IGNORECASE), bounds)
    for phrase, bounds in (
        (f"(?:all )?(?:versions? )?{_BEFORE} {_V}", (BEFORE,)),
        (f"{_V} (?:and|or) (?:all )?(?:earlier|prior|below|older|lower)", (END,)),
        (f"{_THROUGH} {_V}", (END,)),
        (f"{_V} (?:and|or) (?:later|above|newer|higher|up)", (START,)),
        (f"(?:from )?{_V},? {_BEFORE} {_V}", (START, BEFORE)),
        (f"(?:from )?{_V} (?:{_THROUGH}|-|\u2013) {_V}", (START, END)),
    )
)
_VERSION = re.compile(r"[^\s,;<>=|]+(?: [A-Za-z]*\d[\w.]*)?")
UNREAD = "not read: "
"""How a bound begins that no order knows."""


def ranges(text: str) -> list[Range]:
    """What a text means: any of these."""
    text = text.strip()
    if text.lower() in _EVERY:
        return [{}]
    text = _PREFIX.sub("", text, count=1)
    return _comparisons(text) or _phrase(text) or _versions(text) or [{END: UNREAD + text}]


def is_start(text: str) -> bool:
    """Whether a text that should be the first version means the beginning."""
    return text.strip().lower() in _EVERY


def below(wildcard: str) -> str | None:
    """The version that ``5.*`` or ``5.x`` ends before; None when it is something else."""
    found = _WILDCARD.fullmatch(wildcard)
    return f"{found[1]}{int(found[2]) + 1}" if found else None


def _comparisons(text: str) -> list[Range]:
    found = [_comparison(part) for part in text.split("||")]
    return [] if None in found else [each for each in found if each is not None]


def _comparison(text: str) -> Range | None:
    found = _COMPARISON.findall(text)
    if not found or re.sub(r"[\s,;]|and|&&", "", _COMPARISON.sub("", text)):
        return None
    if any(operator == "=" for operator, _ in found):
        return {"version": found[0][1]} if len(found) == 1 else None
    bounds = {_OPERATORS[operator]: bound for operator, bound in found}
    return bounds if len(bounds) == len(found) else None  # several ranges, with nothing between them


def _phrase(text: str) -> list[Range]:
    for pattern, bounds in _PHRASES:
        found = pattern.fullmatch(text)
        if found:
            return [dict(zip(bounds, found.groups(), strict=True))]
    return []


def _versions(text: str) -> list[Range]:
    """Single versions, or branches such as ``5.x``, with commas between them."""
    parts = [part.strip() for part in text.split(",")]
    if not all(_VERSION.fullmatch(part) for part in parts):
        return []
    return [_version(part) for part in parts]


def _version(text: str) -> Range:
    end = below(text)
    return {"version": text} if end is None else {START: text.rstrip("*xX").rstrip("."), BEFORE: end}
