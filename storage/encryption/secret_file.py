"""A file that holds one secret, made at first need and readable by its owner alone."""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path

from storage.encryption.keys import KeyFileError, publish, read_private

_OCTETS = 32


def open_secret(path: Path) -> bytes:
    """The secret, 32 octets; `KeyFileError` where the file cannot be used."""
    try:
        if not path.exists():
            with suppress(FileExistsError):
                publish(path, secrets.token_hex(_OCTETS).encode() + b"\n", replacing=False)
        found = bytes.fromhex(read_private(path).decode())
    except OSError as error:
        raise KeyFileError(f"key file {path}: {error.strerror}") from error
    except ValueError as error:
        raise KeyFileError(f"key file {path} holds no secret of {2 * _OCTETS} hexadecimal digits") from error
    if len(found) != _OCTETS:
        raise KeyFileError(f"key file {path} holds no secret of {2 * _OCTETS} hexadecimal digits")
    return found
