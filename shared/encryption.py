"""Secrets at rest: what users entrust to a channel is in the database only in this form.

Fernet (AES-128-CBC with HMAC-SHA256, https://github.com/fernet/spec) under keys that are not in the database. The newest key
seals, every key opens, so that a key can be changed without a gap: put the new one first, seal everything again
(`shared.resealing`), drop the old.
"""

import base64
import contextlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shared.errors import Permanent
from shared.settings import Settings

SETTING = "VEDETTE_SECRET_KEYS"
FILE = "secret.key"
SHORTEST_KEY = 32
"""Characters."""


@dataclass(frozen=True)
class Cipher:
    """Seals texts and opens what was sealed."""

    keys: MultiFernet = field(repr=False)
    newest: Fernet = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The cipher of an installation.

        The keys are those of the setting, else the one in the data directory, which is made when it is first needed.
        Raises Permanent when it can be neither read nor made.
        """
        if settings.secret_keys is not None:
            return cls.with_keys(*settings.secret_keys.get_secret_value().split(","))
        try:
            return cls.with_keys(_key_file(settings.make_data_dir() / FILE))
        except OSError as error:
            where = settings.data_dir / FILE
            raise Permanent(
                f"{where} cannot be used: {error.strerror}. Set {SETTING} where services share no directory."
            ) from error

    @classmethod
    def with_keys(cls, *keys: str) -> Self:
        """A cipher with keys given as text of high entropy, the newest first."""
        fernets = [Fernet(_derive(key.strip())) for key in keys if key.strip()]
        return cls(MultiFernet(fernets), fernets[0])

    def encrypt(self, text: str) -> bytes:
        """Seal a text under the newest key."""
        return self.keys.encrypt(text.encode())

    def decrypt(self, sealed: bytes) -> str:
        """Open what was sealed under any of the keys. Raises Permanent when none of them fits."""
        try:
            return self.keys.decrypt(sealed).decode()
        except InvalidToken:
            raise _unopened() from None

    def rotate(self, sealed: bytes) -> bytes:
        """Seal again under the newest key what was sealed under any. Raises Permanent when no key fits."""
        try:
            return self.keys.rotate(sealed)
        except InvalidToken:
            raise _unopened() from None

    def is_newest(self, sealed: bytes) -> bool:
        """Whether a text was sealed under the newest key."""
        try:
            self.newest.decrypt(sealed)
        except InvalidToken:
            return False
        return True


def _unopened() -> Permanent:
    return Permanent(
        f"A secret in the database was sealed under a key that is not here: add the key to {SETTING}, "
        f"or bring back {FILE} of the data directory."
    )


def _derive(key: str) -> bytes:
    """A Fernet key from a text that holds as much entropy; a text is easier to make and to paste than a key's own format."""
    material = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"vedette secrets at rest")
    return base64.urlsafe_b64encode(material.derive(key.encode()))


def _key_file(path: Path) -> str:
    """The key in a file. Of several processes that find none, the first to put its own there decides for all."""
    if not path.exists():
        mine = path.with_name(f"{FILE}.{secrets.token_hex(8)}")
        try:
            with os.fdopen(os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(32) + "\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(mine, path)  # whole or not at all, and never over another's
        finally:
            mine.unlink(missing_ok=True)
    key = path.read_text().strip()
    if len(key) < SHORTEST_KEY:
        raise Permanent(f"{path} holds no key. Bring back the one that was there, or set {SETTING}.")
    return key
