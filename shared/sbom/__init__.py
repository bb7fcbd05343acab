"""Reads SBOMs: `read(bytes or file)` gives a `Document` of `Component`s or raises `SbomError`."""

from shared.sbom.model import DEFAULT, Component, Document, Format, Limits, SbomError, SbomTooLarge, Skipped
from shared.sbom.reader import FORMATS, read

__all__ = [
    "DEFAULT",
    "FORMATS",
    "Component",
    "Document",
    "Format",
    "Limits",
    "SbomError",
    "SbomTooLarge",
    "Skipped",
    "read",
]
