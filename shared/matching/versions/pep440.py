"""Python's versions: PEP 440, by the library `packaging`, which pip uses."""

from packaging.version import InvalidVersion, Version

from shared.matching.versions.scheme import Scheme


def key(version: str) -> Version | None:
    """The version as PEP 440 orders it, or None when it is not one."""
    try:
        return Version(version)
    except InvalidVersion:
        return None


def spellings(version: str) -> tuple[str, ...]:
    """The normalised form, and that without the local label (``1.0+cu117`` is built from ``1.0``)."""
    parsed = key(version)
    return () if parsed is None else (str(parsed), parsed.public)


SCHEME = Scheme("pep440", ("pypi",), key, spellings)
