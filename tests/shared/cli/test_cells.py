"""What others wrote does nothing to a terminal."""

import io

import pytest
from rich.console import Console
from rich.table import Table

from shared.cli.cells import cell


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("left-pad", "left-pad"),
        ("Čapek 日本", "Čapek 日本"),
        ("a[/]b", "a[/]b"),
        ("[red]a[/red]", "[red]a[/red]"),
        ("a\x1b]0;owned\x07b\x1b[31m", "a\\x1b]0;owned\\x07b\\x1b[31m"),
        ("a\nb\u202e", "a\\nb\\u202e"),
    ],
)
def test_a_cell_shows_the_text_itself(text, shown):
    table = Table("Name")
    table.add_row(cell(text))
    written = io.StringIO()
    Console(file=written, width=80, force_terminal=True).print(table)
    assert f" {shown} " in written.getvalue()
