"""The key that secrets are sealed with: from the environment, or a file of mode 0600 in the data folder."""

import base64
import os
import secrets
from pathlib import Path
from typing import Final

import structlog

from nightcrew.domain.errors import SecretUnavailable
from nightcrew.domain.secrets import KEY_BYTES, key_of

FILE_NAME: Final = "secret.key"
VARIABLE: Final = "NIGHTCREW_SECRET_KEY"

log = structlog.get_logger(__name__)


def decode_key(text: str, *, where: str) -> bytes:
    """The key of its base64.

    Raises:
        SecretUnavailable: It is none; `where` is named, the text is not.
    """
    try:
        return key_of(text)
    except ValueError as error:
        raise SecretUnavailable(f"{where} {error}") from None


def read_key(path: Path) -> bytes | None:
    """The key in a file, or None if there is no file. Others' rights are taken away if they have any.

    Raises:
        SecretUnavailable: It can't be read, can't be kept from others, or holds no key.
    """
    try:
        with path.open(encoding="ascii") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                os.fchmod(file.fileno(), 0o600)
                log.warning("others could read the key of the secrets; its mode is 0600 now", path=str(path))
            text = file.read(1024)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SecretUnavailable(
            f"the key file {path} can't be used: {error.strerror}; it must be readable and writable by its owner"
            f" alone (chmod 600), or give the key in {VARIABLE}"
        ) from error
    except UnicodeDecodeError:
        text = ""
    return decode_key(text, where=f"the key file {path}")


def make_key(path: Path) -> bytes:
    """A new key in a file that was not there, whole or not at all; the other's key if another made one meanwhile.

    Raises:
        SecretUnavailable: It can't be written.
    """
    key = secrets.token_bytes(KEY_BYTES)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(base64.b64encode(key) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            # Not a rename: that would replace a key that something is sealed with already.
            path.hardlink_to(draft)
        finally:
            draft.unlink()
        _sync(path.parent)
    except FileExistsError:
        return read_key(path) or make_key(path)
    except OSError as error:
        raise SecretUnavailable(f"the key file {path} can't be made: {error.strerror}") from error
    return key


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
