"""Secrets: sealed with AES-GCM for the store, and looked up by name in the environment or the data folder."""

import base64
import hashlib
import hmac
import os
import secrets
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from nightcrew.domain.errors import SecretUnavailable
from nightcrew.domain.secrets import NAME
from nightcrew.system.secret_key import FILE_NAME, VARIABLE, decode_key, make_key, read_key

PREFIX: Final = "NIGHTCREW_SECRET_"
FOLDER: Final = "secrets"
MAX_BYTES: Final = 64 * 1024
_RESERVED: Final = VARIABLE.removeprefix(PREFIX)
"""`${secret:KEY}` would give away the key that everything is sealed with."""
_VERSION: Final = b"\x01"
_NONCE: Final = 12
_NEW_BYTES: Final = 32


class SystemSecrets:
    """Implements ports.secrets.Secrets, safe to call from any thread.

    Sealed is a version, a nonce of 12 random bytes and what AES-GCM gives; the key is read, or made, when it is
    first needed, and kept from then on.

    Args:
        data: The data folder: holds `secret.key`, and `secrets/NAME` for secrets by name.
        key: The key in base64, in place of the file's; empty is none.
        environ: Where NIGHTCREW_SECRET_<NAME> is looked for; the process's own environment by default.
    """

    def __init__(self, data: Path, *, key: str = "", environ: Mapping[str, str] | None = None) -> None:
        self._file = data / FILE_NAME
        self._folder = data / FOLDER
        self._given = key
        self._environ = os.environ if environ is None else environ  # noqa: TID251 - the adapter of the port
        self._key = b""
        self._lock = threading.Lock()

    def seal(self, text: str, *, bound_to: str) -> bytes:
        """The text encrypted; it opens only with the same `bound_to`."""
        nonce = secrets.token_bytes(_NONCE)
        cipher = AESGCM(self._load(make=True))
        return _VERSION + nonce + cipher.encrypt(nonce, text.encode(), bound_to.encode())

    def open(self, sealed: bytes, *, bound_to: str) -> str:
        """The text of what `seal` made."""
        cipher = AESGCM(self._load(make=False))
        if sealed[:1] != _VERSION:
            raise SecretUnavailable("a sealed secret is of another version of Nightcrew")
        start = len(_VERSION)
        nonce, rest = sealed[start : start + _NONCE], sealed[start + _NONCE :]
        try:
            return cipher.decrypt(nonce, rest, bound_to.encode()).decode()
        except (InvalidTag, ValueError):
            raise SecretUnavailable(
                f"a sealed secret does not open: the key ({self._where}) is not the one that it was sealed with;"
                " put that back, or give the secret anew"
            ) from None

    def fingerprint(self, text: str) -> str:
        """What tells equal texts from others and is of no use to guess them."""
        own = hmac.digest(self._load(make=True), b"fingerprint", "sha256")
        return hmac.new(own, text.encode(), hashlib.sha256).hexdigest()

    def named(self, name: str) -> str:
        """The secret of that name, from NIGHTCREW_SECRET_<NAME> or the file `secrets/NAME`, as it is now."""
        if not NAME.fullmatch(name) or name == _RESERVED:
            raise SecretUnavailable(f"{name[:80]!r} is no name of a secret")
        found = self._environ.get(PREFIX + name)
        if found is not None:
            return found
        path = self._folder / name
        try:
            with path.open("rb") as file:
                raw = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise SecretUnavailable(
                f"there is no secret {name!r}: neither the variable {PREFIX}{name} of the runtime nor the file"
                f" {path} ({error.strerror})"
            ) from None
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            raise SecretUnavailable(f"the secret in {path} is no UTF-8 text") from None
        if len(raw) > MAX_BYTES:
            raise SecretUnavailable(f"the secret in {path} is over {MAX_BYTES} bytes")
        return text.removesuffix("\n").removesuffix("\r")

    def new(self) -> str:
        """A new secret for Standard Webhooks, `whsec_…`."""
        return "whsec_" + base64.b64encode(secrets.token_bytes(_NEW_BYTES)).decode()

    def token(self) -> str:
        """A new secret that is fit for a URL."""
        return secrets.token_urlsafe(_NEW_BYTES)

    @property
    def _where(self) -> str:
        return f"in {VARIABLE}" if self._given else str(self._file)

    def _load(self, *, make: bool) -> bytes:
        with self._lock:
            if not self._key:
                self._key = self._found(make=make)
            return self._key

    def _found(self, *, make: bool) -> bytes:
        if self._given:
            return decode_key(self._given, where=VARIABLE)
        key = read_key(self._file)
        if key is not None:
            return key
        if make:
            return make_key(self._file)
        raise SecretUnavailable(
            f"the key file {self._file} is gone, and what was sealed can't be opened without it: put it back, or"
            " give the secrets anew"
        )
