"""What others wrote, as it may stand in a table on a terminal."""

from rich.markup import escape


def cell(text: str) -> str:
    """The text itself: brackets are no markup, and codes that steer a terminal are shown by name."""
    return escape("".join(each if each.isprintable() else ascii(each)[1:-1] for each in text))
