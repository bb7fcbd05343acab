"""Components as they come in: to an inventory, to a dry run of the matching, to an explanation."""

from collections.abc import Callable
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate
from packageurl import PackageURL

from api_service.schemas.base import Input
from shared.matching import cpe

MAX_TEXT = 2_000
MAX_CPES = 500
MAX_ERRORS = 100
"""Components whose mistakes are told; a list that is wrong throughout needs no longer answer."""

_FIELDS = frozenset({"name", "version", "purl", "cpe", "cpes"})


class ComponentInput(Input):
    """One piece of software: a name, a package URL or a CPE name, and a version where these do not say it."""

    name = fields.String(
        validate=validate.Length(1, MAX_TEXT),
        metadata={
            "description": "What it is called; without it, the name in the package URL or CPE name.",
            "example": "openssl",
        },
    )
    version = fields.String(
        allow_none=True,
        validate=validate.Length(max=MAX_TEXT),
        metadata={
            "description": "Its version; without it, the one in the package URL or CPE name.",
            "example": "1.0.1f",
        },
    )
    purl = fields.String(
        allow_none=True,
        validate=validate.Length(max=MAX_TEXT),
        metadata={"description": "Its package URL, such as `pkg:npm/lodash@4.17.20`."},
    )
    cpe = fields.String(
        allow_none=True,
        validate=validate.Length(max=MAX_TEXT),
        metadata={
            "description": "Its CPE name, 2.3 or 2.2.",
            "example": "cpe:2.3:a:openssl:openssl:1.0.1f:*:*:*:*:*:*:*",
        },
    )
    cpes = fields.List(
        fields.String(validate=validate.Length(max=MAX_TEXT)),
        validate=validate.Length(max=MAX_CPES),
        metadata={"description": "Several CPE names, instead of `cpe` or beside it."},
    )


class ComponentField(fields.Nested):
    """A component; loads into `{name, version, purl, cpes}`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(ComponentInput, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        component, wrong = read_component(value)
        if wrong:
            raise ma.ValidationError(wrong)
        return component


class ComponentList(fields.List[dict[str, Any]]):
    """A list of components. It is read by hand: tens of thousands of them must not take seconds."""

    def __init__(self, maximum: int, **kwargs: Any) -> None:
        super().__init__(ComponentField(), validate=validate.Length(max=maximum), **kwargs)
        self.maximum = maximum

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:  # noqa: ARG002
        if not isinstance(value, list):
            raise self.make_error("invalid")
        if len(value) > self.maximum:
            raise ma.ValidationError(f"At most {self.maximum:,} components, not {len(value):,}.")
        found = []
        errors: dict[int, Any] = {}
        for index, entry in enumerate(value):
            component, wrong = read_component(entry)
            found.append(component)
            if wrong:
                errors[index] = wrong
                if len(errors) == MAX_ERRORS:
                    break
        if errors:
            raise ma.ValidationError(errors)
        return found


def read_component(entry: Any) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """A component in its normal form, and what is wrong with it by field."""
    if not isinstance(entry, dict):
        return {}, {"_schema": ["Not a component: it must be an object."]}
    errors: dict[str, list[str]] = {str(name): ["Unknown field."] for name in entry if name not in _FIELDS}

    def text(field: str) -> str:
        value = entry.get(field)
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > MAX_TEXT:
            errors[field] = [f"Must be a text of at most {MAX_TEXT:,} characters."]
            return ""
        return value.strip()

    component: dict[str, Any] = {
        "name": text("name"),
        "version": text("version"),
        "purl": text("purl") or None,
    }
    package = _checked(component["purl"], "purl", PackageURL.from_string, errors)
    texts = _cpe_texts(entry, errors)
    names = [_checked(each, field, cpe.parse, errors) for field, each in texts]
    component["cpes"] = tuple(dict.fromkeys(each for _, each in texts))
    if not errors:
        _fill(component, package, names[0] if names else None)
        if not component["name"]:
            errors["name"] = ["A component needs a name, a package URL or a CPE name."]
    return component, errors


def _checked(text: str | None, field: str, parse: Callable[[str], Any], errors: dict[str, list[str]]) -> Any:
    """What the text means; None, with the reason noted, when it means nothing."""
    if not text:
        return None
    try:
        return parse(text)
    except ValueError as error:
        errors.setdefault(field, []).append(str(error))
        return None


def _cpe_texts(entry: dict[str, Any], errors: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Every CPE name that is given, with the field that gives it."""
    listed = entry.get("cpes")
    if listed is None:
        listed = []
    if not isinstance(listed, list) or len(listed) > MAX_CPES:
        errors["cpes"] = [f"Must be a list of at most {MAX_CPES} CPE names."]
        listed = []
    single = entry.get("cpe")
    texts = [("cpe", single)] if single is not None else []
    texts += [(f"cpes.{index}", each) for index, each in enumerate(listed)]
    found = []
    for field, each in texts:
        if isinstance(each, str) and len(each) <= MAX_TEXT:
            found.append((field, each.strip()))
        else:
            errors[field] = [f"Must be a text of at most {MAX_TEXT:,} characters."]
    return found


def _fill(component: dict[str, Any], package: PackageURL | None, name: cpe.Name | None) -> None:
    """Take a name and a version that are not given from the package URL, else from the first CPE name."""
    if package is not None:
        component["name"] = component["name"] or package.name
        component["version"] = component["version"] or package.version or ""
    elif name is not None:
        if name.product not in {cpe.ANY, cpe.NA}:
            component["name"] = component["name"] or cpe.unquote(name.product)
        if name.version not in {cpe.ANY, cpe.NA} and not cpe.has_wildcards(name.version):
            component["version"] = component["version"] or cpe.unquote(name.version)
