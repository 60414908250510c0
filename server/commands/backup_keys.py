"""The key files that belong to an archive and are in no backup: which there are, and whether they are those it needs.

A snapshot remembers the audit key's public id, a digest of the regional index's secret, and the data key that was the
active one at its end: without `master.key` not even the snapshot's own account can be read, but with a copy from before
a renewal this may be all that can.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from server.settings import Settings, SettingsError
from storage.encryption.keys import KeyFileError, KeyRing, open_keys
from storage.encryption.secret_file import open_secret
from storage.encryption.signing import SigningKeys, open_signing_keys
from storage.errors import Damaged
from storage.ports import Threads

_MASTER, _AUDIT, _INDEX = "master key", "audit key", "index key"


def key_files(settings: Settings) -> list[Path]:
    """Those that are there."""
    sealing = [] if settings.encryption == "off" else [settings.key_file]
    return [path.resolve() for path in (*sealing, settings.audit_key, settings.index_key) if path.exists()]


def other_files(settings: Settings) -> list[str]:
    """What else settings name that lies outside the archive, and that a backup leaves alone."""
    named = (
        settings.tls_certificate,
        settings.tls_key,
        settings.tls_client_authorities,
        settings.audit_syslog_authority,
        settings.audit_syslog_certificate,
        settings.audit_syslog_key,
    )
    return [each for each in named if each]


async def remarks(settings: Settings, threads: Threads) -> dict[str, str]:
    """What a snapshot says of the keys its archive was used with."""
    found = {}
    with _told_clearly():
        if settings.encryption != "off":
            found[_MASTER] = (await _data_keys(settings, threads)).active.id.hex()
        if settings.audit_key.exists():
            found[_AUDIT] = (await _signing_keys(settings, threads)).active.id.hex()
        if settings.index_key.exists():
            found[_INDEX] = _digest(await threads.io(open_secret, settings.index_key))
    return found


async def check(settings: Settings, told: Mapping[str, str], threads: Threads) -> None:
    """`SettingsError` names the key file that is missing, or is another one."""
    with _told_clearly():
        if _MASTER in told:
            _find(await _data_keys(settings, threads), told[_MASTER], settings.key_file)
        if _AUDIT in told:
            keys = await _signing_keys(settings, threads)
            if keys.find(bytes.fromhex(told[_AUDIT])) is None:
                raise _another(settings.audit_key)
        if _INDEX in told:
            if not settings.index_key.exists():
                raise SettingsError(f"key file {settings.index_key} is missing: put it in place before restoring")
            if _digest(await threads.io(open_secret, settings.index_key)) != told[_INDEX]:
                raise _another(settings.index_key)


@contextmanager
def _told_clearly() -> Iterator[None]:
    try:
        yield
    except KeyFileError as error:
        raise SettingsError(str(error)) from error


async def _data_keys(settings: Settings, threads: Threads) -> KeyRing:
    return await threads.io(partial(open_keys, settings.key_file, may_create=False))


def _find(keys: KeyRing, told: str, path: Path) -> None:
    try:
        keys.find(bytes.fromhex(told))
    except Damaged as error:
        raise SettingsError(
            f"key file {path} is a copy from before a key was renewed: a newer one is needed"
        ) from error


async def _signing_keys(settings: Settings, threads: Threads) -> SigningKeys:
    return await threads.io(partial(open_signing_keys, settings.audit_key, may_create=False))


def _another(path: Path) -> SettingsError:
    return SettingsError(f"key file {path} is not the one the archive was used with when it was backed up")


def _digest(secret: bytes) -> str:
    return hmac.digest(secret, b"weft backup", "sha256").hex()
