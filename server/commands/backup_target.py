"""Where a backup lies, as commands name it: opened, and what is in it told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.filesize import decimal

from server.commands.acting import say, show
from server.commands.configuration import fail
from server.kernel.offload import Offload
from server.settings import Settings, SettingsError
from storage.backup.manifest import Manifest, Manifests
from storage.backup.shelf import Shelf
from storage.errors import Damaged, NotFound
from storage.open import open_chunks, open_vault
from storage.vault import Vault


@dataclass(frozen=True, slots=True)
class Target:
    vault: Vault
    shelf: Shelf
    manifests: Manifests


def url_of(text: str, *, is_new: bool) -> str:
    """A folder's path as a URL. Unless it may be a new one, it has to be there."""
    # Paths are taken as they stand, without percent signs for what a URL cannot hold.
    url = text if "://" in text else f"file://{Path(text).expanduser().resolve()}"
    scheme, _, path = url.partition("://")
    if scheme == "file" and not is_new and not Path(path).is_dir():
        fail(f"there is no folder {path}")
    return url


@asynccontextmanager
async def opened_target(settings: Settings, url: str, threads: Offload) -> AsyncIterator[Target]:
    """`SettingsError` where it cannot be read with these settings, or the key file is not there."""
    try:
        vault = await open_vault(url, threads)
        chunks = await open_chunks(encryption=settings.encryption, key_file=settings.key_file, threads=threads)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    yield Target(vault, Shelf(vault, chunks, threads), Manifests(vault, chunks))


async def chosen(target: Target, snapshot: str) -> Manifest:
    """The snapshot of that id, or the newest."""
    try:
        return await (target.manifests.get(snapshot) if snapshot else target.manifests.newest())
    except NotFound:
        fail(f"there is no snapshot {snapshot} in this place".replace("  ", " "))


async def listed(settings: Settings, url: str) -> None:
    """Those that can be read with these keys in a table; the others by name, and why."""
    threads = Offload()
    found: list[Manifest] = []
    others: list[str] = []
    try:
        async with opened_target(settings, url, threads) as target:
            for id_ in await target.manifests.ids():
                try:
                    found.append(await target.manifests.get(id_))
                except Damaged as error:
                    others.append(str(error))
    finally:
        threads.close()
    rows = [
        (
            each.id,
            f"{each.begun:%Y-%m-%d %H:%M}",
            f"{each.rows:,}",
            f"{each.files.count:,}",
            f"{each.lines:,}",
            decimal(each.octets),
            each.version,
        )
        for each in found
    ]
    if rows or not others:
        show(("SNAPSHOT", "TAKEN (UTC)", "RECORDS", "FILES", "AUDIT LINES", "SIZE", "WEFT"), rows, "There is none yet.")
    for each in others:
        say(each)


def told(manifest: Manifest) -> str:
    return (
        f"snapshot {manifest.id}: {manifest.rows:,} records, {manifest.files.count:,} files,"
        f" {manifest.lines:,} audit lines, {decimal(manifest.octets)}"
    )
