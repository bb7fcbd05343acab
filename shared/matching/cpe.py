r"""CPE names: parsing, binding and comparing, after NIST IR 7695 (naming) and IR 7696 (name matching).

An attribute's value is kept in the spelling of the formatted string (IR 7695, 6.2), case folded and with
exactly the escapes that are needed: ``*`` is ANY, ``-`` is NA, ``\-`` the literal hyphen, ``8.*`` a wildcard,
``8.\*`` a literal asterisk. Two attribute values are the same value exactly when the strings are equal.
"""

import enum
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

import msgspec

ANY = "*"
"""The logical value ANY: unspecified, every value (IR 7695, 5.3.1)."""

NA = "-"
"""The logical value NA: not applicable, no value (IR 7695, 5.3.1)."""

ATTRIBUTES = (
    "part",
    "vendor",
    "product",
    "version",
    "update",
    "edition",
    "language",
    "sw_edition",
    "target_sw",
    "target_hw",
    "other",
)
"""The eleven attributes in the order of the formatted string (IR 7695, 6.2.2)."""


class CpeError(ValueError):
    """A text that cannot be unbound to a CPE name; the message says what is wrong and where."""

    def __init__(self, text: str, where: str, what: str) -> None:
        super().__init__(f"{text[:200]!r}: {where}: {what}")
        self.text = text
        self.where = where
        self.what = what


class Relation(enum.Enum):
    """How a source relates to a target as sets (IR 7696, table 6-1; UNDEFINED from table 6-2)."""

    SUPERSET = "superset"
    SUBSET = "subset"
    EQUAL = "equal"
    DISJOINT = "disjoint"
    UNDEFINED = "undefined"


class Name(msgspec.Struct, frozen=True, gc=False):
    """A well-formed CPE name: eleven attribute values in canonical formatted-string spelling."""

    part: str
    vendor: str = ANY
    product: str = ANY
    version: str = ANY
    update: str = ANY
    edition: str = ANY
    language: str = ANY
    sw_edition: str = ANY
    target_sw: str = ANY
    target_hw: str = ANY
    other: str = ANY

    @property
    def product_key(self) -> str:
        """``part:vendor:product``, for example ``a:openssl:openssl``."""
        return f"{self.part}:{self.vendor}:{self.product}"

    def __iter__(self) -> Iterator[str]:
        return (getattr(self, attribute) for attribute in ATTRIBUTES)

    def __str__(self) -> str:
        """The formatted string (IR 7695, 6.2.2)."""
        return "cpe:2.3:" + ":".join(self)


# What must be escaped in a formatted string: printing characters other than letters, digits and ``_ . -``.
_PUNCTUATION = "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}~"
_QUOTED = r"\\[" + re.escape(_PUNCTUATION) + "]"
_LITERAL = rf"(?:[a-z0-9._\-]++|{_QUOTED})++"
_WILD = r"(?:\*|\?++)"
_VALUE = rf"(?:\\-(?![^:])|{_LITERAL}{_WILD}?+|\*(?:{_LITERAL}{_WILD}?+)?+|\?++(?:{_LITERAL}{_WILD}?+)?+)"
_CANONICAL_VALUE = re.compile(_VALUE)
_CANONICAL = re.compile(r"cpe:2\.3:([aoh*\-])" + rf":({_VALUE})" * 10)
_ESCAPED = re.compile(r"\\(.)")
_FIELD = re.compile(r"((?:[^:\\]|\\.)*+\\?)(?::|$)", re.DOTALL)


def parse(text: str) -> Name:
    """Unbind a CPE 2.3 formatted string or a CPE 2.2 URI; raises CpeError where it breaks the grammar."""
    found = _CANONICAL.fullmatch(text)
    if found:
        return Name(*found.groups())
    folded = text.strip().lower()
    if folded.startswith("cpe:2.3:"):
        return _unbind_formatted_string(folded)
    if folded.startswith("cpe:/"):
        return _unbind_uri(folded)
    raise CpeError(text, "start", "neither 'cpe:2.3:' nor 'cpe:/'")


def is_value(value: str) -> bool:
    """Whether a text is a legal attribute value in canonical spelling."""
    return _CANONICAL_VALUE.fullmatch(value) is not None


def quote(value: str) -> str:
    r"""Write plain text as an attribute value: folded, blanks as ``_``, escaped (``c++`` is ``c\+\+``)."""
    folded = "_".join(value.lower().split())
    if folded in {ANY, NA}:
        return "\\" + folded
    return "".join("\\" + char if char in _PUNCTUATION else char for char in folded)


def unquote(value: str) -> str:
    r"""Read an attribute value as plain text: ``12.2\(14\)`` is ``12.2(14)``."""
    return _ESCAPED.sub(r"\1", value) if "\\" in value else value


def _unbind_formatted_string(text: str) -> Name:
    """IR 7695, 6.2.3: eleven fields after the prefix, split at colons that are not escaped."""
    fields = list(_fields(text[len("cpe:2.3:") :]))
    if len(fields) != len(ATTRIBUTES):
        raise CpeError(
            text, "fields", f"expected {len(ATTRIBUTES)} attributes after 'cpe:2.3:', found {len(fields)}"
        )
    return _name(text, zip(ATTRIBUTES, map(_add_quoting, fields), strict=True))


def _fields(text: str) -> Iterator[str]:
    position = 0
    while True:
        found = _FIELD.match(text, position)
        if found is None:  # pragma: no cover - the expression matches every text
            return
        yield found.group(1)
        position = found.end()
        if position == found.end(1):
            return


def _add_quoting(value: str) -> str:
    r"""IR 7695, add_quoting: quote what must be; here ``\. \- \_`` also lose their needless escape."""
    result = []
    position = 0
    while position < len(value):
        char = value[position]
        if char == "\\" and position + 1 < len(value):
            position += 1
            following = value[position]
            needless = following in "._" or (following == "-" and len(value) > 2)
            result.append(following if needless else "\\" + following)
        elif char in _PUNCTUATION and char not in "*?\\":
            result.append("\\" + char)
        else:
            result.append(char)
        position += 1
    return "".join(result)


_PERCENT = re.compile(r"%(.{0,2})", re.DOTALL)
# IR 7695, 6.1.3.2: %01 and %02 are the unquoted wildcards, the others quoted punctuation.
_DECODED = {"01": "?", "02": "*"} | {f"{ord(char):02x}": "\\" + char for char in _PUNCTUATION}


def _unbind_uri(text: str) -> Name:
    """IR 7695, 6.1.3: up to seven components; an edition that starts with a tilde packs five attributes."""
    components = text[len("cpe:/") :].split(":")
    if len(components) > 7:
        raise CpeError(text, "components", f"expected at most 7 after 'cpe:/', found {len(components)}")
    components += [""] * (7 - len(components))
    edition = components[5]
    packed = edition[1:].split("~") if edition.startswith("~") else [edition]
    if len(packed) > 5:
        raise CpeError(text, "edition", f"expected at most 5 packed values, found {len(packed)}")
    packed += [""] * (5 - len(packed))
    values = [*components[:5], packed[0], components[6], *packed[1:]]
    return _name(
        text, ((key, _decode(text, key, value)) for key, value in zip(ATTRIBUTES, values, strict=True))
    )


def _decode(text: str, attribute: str, value: str) -> str:
    if value == "":
        return ANY

    def decoded(found: re.Match[str]) -> str:
        if found.group(1) not in _DECODED:
            raise CpeError(text, attribute, f"illegal percent-encoded form {found.group(0)!r}")
        return _DECODED[found.group(1)]

    # A tilde or other unreserved punctuation that the old syntax let through unencoded is quoted.
    plain = "".join("\\" + char if char in _PUNCTUATION and char != "%" else char for char in value)
    return _PERCENT.sub(decoded, plain)


def _name(text: str, values: Iterable[tuple[str, str]]) -> Name:
    checked = []
    for attribute, value in values:
        if not _CANONICAL_VALUE.fullmatch(value):
            raise CpeError(text, attribute, f"{value!r} is not a legal value: {_complaint(value)}")
        checked.append(value)
    if checked[0] not in {"a", "o", "h", ANY, NA}:
        raise CpeError(text, "part", f"{checked[0]!r} is none of a, o, h, * and -")
    return Name(*checked)


def _complaint(value: str) -> str:
    if value == "":
        return "it is empty"
    if any(not "!" <= char <= "~" for char in value):
        return "it holds a blank, a control character or a character beyond ASCII"
    if re.search(r"(?<!\\)[*?]", value):
        return "an unquoted * or ? may only begin or end a value"
    return "a backslash must precede a punctuation character"


def compare(source: str, target: str) -> Relation:
    """The relation of two attribute values: IR 7696, table 6-2, for values as Name holds them."""
    if has_wildcards(target):
        return Relation.UNDEFINED
    if source == target:
        return Relation.EQUAL
    if source == ANY:
        return Relation.SUPERSET
    if target == ANY:
        return Relation.SUBSET
    if NA in {source, target} or not has_wildcards(source):
        return Relation.DISJOINT
    return Relation.SUPERSET if _pattern(source).fullmatch(target) else Relation.DISJOINT


def compare_names(source: Name, target: Name) -> tuple[Relation, ...]:
    """The relations of all eleven attributes: IR 7696, Compare_WFNs."""
    return tuple(compare(*pair) for pair in zip(source, target, strict=True))


def name_relation(relations: Iterable[Relation]) -> Relation:
    """The relation of two names from those of their attributes: IR 7696, table 6-4.

    The table leaves a mixture of SUBSET and SUPERSET open, and everything that holds an undefined attribute:
    both are UNDEFINED here.
    """
    found = set(relations)
    if Relation.DISJOINT in found:
        return Relation.DISJOINT
    if found <= {Relation.EQUAL}:
        return Relation.EQUAL
    if found <= {Relation.EQUAL, Relation.SUBSET}:
        return Relation.SUBSET
    if found <= {Relation.EQUAL, Relation.SUPERSET}:
        return Relation.SUPERSET
    return Relation.UNDEFINED


_UNQUOTED = re.compile(r"(?:[^\\*?]|\\.)*+[*?]", re.DOTALL)


def has_wildcards(value: str) -> bool:
    """Whether a value holds an unquoted ``*`` or ``?``; the logical ANY does not count (IR 7696, 7.3)."""
    return value != ANY and ("*" in value or "?" in value) and _UNQUOTED.match(value) is not None


@lru_cache(maxsize=1024)
def _pattern(source: str) -> re.Pattern[str]:
    """IR 7696, 6.3: ``*`` stands for zero or more characters, ``?`` for zero or one, at either end."""
    character = r"(?:\\.|[^\\])"
    body = source.lstrip("*?")
    start = source[: len(source) - len(body)]
    end = ""
    while body.endswith(("*", "?")) and has_wildcards(body):
        body, end = body[:-1], body[-1] + end
    ends = {"*": character + "*", "?": character + "?"}
    return re.compile(
        "".join(map(ends.__getitem__, start)) + re.escape(body) + "".join(map(ends.__getitem__, end))
    )
