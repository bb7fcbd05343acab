"""Every setting is documented, with its default, and nothing is documented that cannot be set."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic.fields import FieldInfo

from shared.settings import Settings

README = Path(__file__).parents[2] / "README.md"
FIELDS: dict[str, FieldInfo] = {
    str(field.validation_alias): field for field in Settings.model_fields.values()
}


def documented() -> dict[str, str]:
    """The rows of the README's configuration table: variable and default."""
    section = README.read_text().partition("\n## Configuration\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", section, re.MULTILINE))


def shown(default: Any) -> str:
    """A default as the table writes it."""
    if default is None or default == "":
        return "none"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


@pytest.mark.parametrize("variable", sorted(FIELDS))
def test_a_setting_is_documented_with_its_default(variable: str) -> None:
    assert documented().get(variable) == shown(FIELDS[variable].default)


def test_nothing_is_documented_that_does_not_exist() -> None:
    assert not set(documented()) - set(FIELDS)


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_a_setting_says_what_it_is_for(name: str) -> None:
    source = Path(__file__).parents[2] / "shared" / "settings.py"
    assert re.search(rf"^    {name}: .*\n    \"\"\"", source.read_text(), re.MULTILINE)
