"""The parts of an NVD 2.0 record that the mirror looks at, and reading them so that an odd value costs only itself.

The NVD adds fields and values without notice (https://csrc.nist.gov/schema/nvd/api/2.0/cve_api_json_2.0.schema is what it
promises). A record of the expected types is decoded in one go; from any other, what fits is picked out piece by piece.
"""

from contextlib import suppress
from types import UnionType
from typing import Any, get_args, get_origin

import msgspec

from shared.errors import Invalid

NOTHING = msgspec.Raw(b"null")
"""A field that is not there."""


class Text(msgspec.Struct, gc=False):
    """A text in a language."""

    lang: str = ""
    value: str = ""


class Weakness(msgspec.Struct):
    """What kind of mistake it is, according to one source."""

    description: list[Text] = []


class Cvss(msgspec.Struct, rename="camel", gc=False):
    """The data of a CVSS assessment, of any version."""

    version: str = ""
    base_score: float | None = None
    vector_string: str | None = None
    base_severity: str | None = None


class Assessment(msgspec.Struct, rename="camel", gc=False):
    """An entry under `metrics`; other kinds than CVSS (SSVC) have no `cvssData`."""

    type: str = ""
    cvss_data: Cvss | None = None
    base_severity: str | None = None
    """Where CVSS 2.0 has it; the later versions have it in the data."""


class Cve(msgspec.Struct, rename="camel"):
    """A record."""

    id: str = ""
    vuln_status: str = ""
    published: str = ""
    last_modified: str = ""
    descriptions: list[Text] = []
    metrics: dict[str, list[Assessment]] = {}
    weaknesses: list[Weakness] = []
    configurations: msgspec.Raw = NOTHING
    affected: msgspec.Raw = NOTHING
    cisa_exploit_add: str | None = None
    cisa_action_due: str | None = None
    cisa_vulnerability_name: str | None = None
    cisa_required_action: str | None = None


class _Element(msgspec.Struct):
    cve: Cve


class _Id(msgspec.Struct, gc=False):
    id: str


class _Named(msgspec.Struct):
    cve: _Id


_ELEMENT = msgspec.json.Decoder(_Element)
_NAMED = msgspec.json.Decoder(_Named)


def name(record: bytes) -> str | None:
    """The CVE id of a record, found without reading the rest; None if it has none."""
    try:
        return _NAMED.decode(record).cve.id
    except (msgspec.MsgspecError, RecursionError):
        return None


def read(record: bytes) -> Cve:
    """Read one element of `vulnerabilities`. Raises Invalid when there is no record in it."""
    with suppress(msgspec.MsgspecError, RecursionError):
        return _ELEMENT.decode(record).cve
    try:
        element = msgspec.json.decode(record)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid(f"not a CVE record: {error}") from None
    cve = element.get("cve") if isinstance(element, dict) else None
    if not isinstance(cve, dict):
        raise Invalid("not a CVE record: it has no object `cve`")
    found: Cve = _fitting(Cve, cve)
    return found


def _fitting(kind: Any, value: Any) -> Any:
    """What of `value` fits the type; fields, elements and entries that do not are left out.

    Raises ValidationError when `value` itself does not.
    """
    if kind is msgspec.Raw:
        return msgspec.Raw(msgspec.json.encode(value))
    if get_origin(kind) is list and isinstance(value, list):
        (inner,) = get_args(kind)
        return [found for each in value if (found := _or_none(inner, each)) is not None]
    if get_origin(kind) is dict and isinstance(value, dict):
        _, inner = get_args(kind)
        return {key: found for key, each in value.items() if (found := _or_none(inner, each)) is not None}
    options = get_args(kind) if get_origin(kind) is UnionType else (kind,)
    struct = next((each for each in options if hasattr(each, "__struct_fields__")), None)
    if struct is None or not isinstance(value, dict):
        return msgspec.convert(value, kind)
    pairs = (
        (field, value[field.encode_name])
        for field in msgspec.structs.fields(struct)
        if field.encode_name in value
    )
    found = {field.name: _or_none(field.type, each) for field, each in pairs}
    return struct(**{name: each for name, each in found.items() if each is not None})


def _or_none(kind: Any, value: Any) -> Any:
    with suppress(msgspec.ValidationError):
        return _fitting(kind, value)
    return None
