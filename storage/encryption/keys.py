"""The key file: a master key that wraps data keys (RFC 3394), one of which is active; the others stay readable.

The file is made at the first start, whole or not at all: of several workers that start at once one wins and all read
its file. Losing the file is losing the archive, so it belongs in a backup of its own, away from the data. All servers
of one archive use copies of the same file. A running server notices a changed file when it meets a data key it lacks.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from storage.errors import Damaged

try:
    import fcntl
except ImportError:  # not on Windows, where two who renew a key at once are not kept apart
    fcntl = None  # type: ignore[assignment]

_FORMAT = "weft keys 1"
_LONGEST = 1 << 20
KEY_ID = 8


class KeyFileError(ValueError):
    """The key file cannot be used; the text says why and what to do, and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class DataKey:
    """A key that seals, by the id that stands in headers."""

    id: bytes
    key: bytes
    created: str


@dataclass(frozen=True, slots=True)
class _Keys:
    master: bytes
    active: bytes
    data_keys: Mapping[bytes, DataKey]


class KeyRing:
    """The data keys of one key file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = fingerprint(path)
        self._keys = _read(path)

    @property
    def active(self) -> DataKey:
        """The key that seals what is written now."""
        return self._keys.data_keys[self._keys.active]

    def find(self, key_id: bytes) -> bytes:
        """The key of that id; the file is read again if it has changed since."""
        if key_id not in self._keys.data_keys:
            self._reload()
        found = self._keys.data_keys.get(key_id)
        if found is None:
            raise Damaged(f"damaged, or another key file's: no data key {key_id.hex()}")
        return found.key

    def _reload(self) -> None:
        with suppress(KeyFileError, OSError):
            seen = fingerprint(self._path)
            if seen != self._seen:
                self._keys = _read(self._path)
                self._seen = seen


def open_keys(path: Path, *, may_create: bool = True) -> KeyRing:
    """The key file's keys; the file is made where there is none, unless there is already something to read with it."""
    try:
        if may_create and not path.exists():
            with suppress(FileExistsError):
                publish(path, _encoded(_new_keys()), replacing=False)
        return KeyRing(path)
    except FileNotFoundError as error:
        raise KeyFileError(f"key file {path} is missing: nothing stored can be read without it; restore it") from error
    except OSError as error:
        raise KeyFileError(f"key file {path}: {error.strerror}") from error


def rotate_data_key(path: Path) -> str:
    """Make a new data key the active one and give its id; what older keys sealed stays readable.

    The master key is another one from then on, so that whoever has an older copy of the file and nothing else cannot
    unwrap the new data key.
    """
    with renewing(path):
        keys, fresh = _read(path), _new_data_key()
        data_keys = {**keys.data_keys, fresh.id: fresh}
        publish(path, _encoded(_Keys(secrets.token_bytes(32), fresh.id, data_keys)), replacing=True)
    return fresh.id.hex()


@contextmanager
def renewing(path: Path) -> Iterator[None]:
    """Alone with a key file to be replaced: of two who add a key at once neither loses the other's."""
    try:
        folder = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise KeyFileError(f"key file {path}: {error.strerror}") from error
    try:
        if fcntl is not None:
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    except OSError as error:
        raise KeyFileError(f"key file {path}: {error.strerror}") from error
    finally:
        os.close(folder)


def _new_keys() -> _Keys:
    first = _new_data_key()
    return _Keys(secrets.token_bytes(32), first.id, {first.id: first})


def _new_data_key() -> DataKey:
    return DataKey(
        secrets.token_bytes(KEY_ID), secrets.token_bytes(32), datetime.now(UTC).isoformat(timespec="seconds")
    )


def _encoded(keys: _Keys) -> bytes:
    wrapped = {
        each.id.hex(): {"wrapped": _text(aes_key_wrap(keys.master, each.key)), "created": each.created}
        for each in keys.data_keys.values()
    }
    content = {"format": _FORMAT, "master": _text(keys.master), "active": keys.active.hex(), "data_keys": wrapped}
    return json.dumps(content, indent=1).encode() + b"\n"


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()


def publish(path: Path, content: bytes, *, replacing: bool) -> None:
    """Make a key file appear with all its content: under a name of its own first, then linked or moved into place."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replacing:
            os.replace(made, path)
        else:
            os.link(made, path)
    finally:
        made.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def fingerprint(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns


def read_private(path: Path) -> bytes:
    """A key file's content; `KeyFileError` where others than its owner could have read or changed it."""
    with open(path, "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise KeyFileError(f"key file {path}: others may read or change it; set its mode to 0600")
        return file.read(_LONGEST)


def _read(path: Path) -> _Keys:
    content = read_private(path)
    try:
        return _parsed(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError, InvalidUnwrap, binascii.Error, RecursionError) as error:
        raise KeyFileError(
            f"key file {path}: not a key file of Weft, or damaged; restore it from its backup"
        ) from error


def _parsed(content: Any) -> _Keys:
    if content["format"] != _FORMAT:
        raise ValueError("another format")
    master = base64.b64decode(content["master"], validate=True)
    found = [_unwrapped(master, bytes.fromhex(name), entry) for name, entry in content["data_keys"].items()]
    keys = _Keys(master, bytes.fromhex(content["active"]), {each.id: each for each in found})
    if keys.active not in keys.data_keys:
        raise ValueError("the active key is missing")
    return keys


def _unwrapped(master: bytes, key_id: bytes, entry: Any) -> DataKey:
    key = aes_key_unwrap(master, base64.b64decode(entry["wrapped"], validate=True))
    if len(key_id) != KEY_ID or len(key) != 32:
        raise ValueError("a data key of another length")
    return DataKey(key_id, key, str(entry["created"]))
