"""Stores opened by URL: what is refused, what is made, and that a key file and its archive stay together."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from server.kernel.offload import Offload
from storage.errors import StoreUnavailable
from storage.open import Stores, open_stores
from storage.ports import Put
from tests.mongod import mongodb_url
from tests.s3server import S3Server, running_s3

__all__ = ["mongodb_url"]


@pytest.fixture(scope="module")
def s3_server() -> Iterator[S3Server]:
    with running_s3() as server:
        yield server


def with_stores(
    folder: Path,
    act: Callable[[Stores], Coroutine[Any, Any, None]] | None = None,
    *,
    encryption: str = "aes-256-gcm",
    records: str = "",
    blobs: str = "",
    key_file: str = "master.key",
) -> None:
    async def opened() -> None:
        threads = Offload(io_threads=2, cpu_threads=1)
        try:
            stores = await open_stores(
                records or f"sqlite://{folder}/data/weft.sqlite",
                blobs or f"file://{folder}/data/blobs",
                encryption=encryption,
                key_file=folder / key_file,
                threads=threads,
            )
            try:
                if act:
                    await act(stores)
            finally:
                await stores.close()
        finally:
            threads.close()

    asyncio.run(opened())


async def keep(stores: Stores) -> None:
    (ref,) = await stores.blobs.put_all([b"a patient's image"])
    await stores.records.commit([Put("refs", "one", f"{ref.name} {ref.size}".encode())])
    assert bytes(await stores.blobs.fetch(ref)) == b"a patient's image"


async def find(stores: Stores) -> None:
    assert len(await stores.records.get("refs", ["one"])) == 1


def test_marks_outlive_a_run_and_leave_the_records_as_old_as_they_were(tmp_path: Path) -> None:
    async def mark(stores: Stores) -> None:
        before = await stores.records.revision()
        await stores.marks.commit([Put("used", "one", b"-", expected=0)])
        assert await stores.records.revision() == before
        assert await stores.records.get("used", ["one"]) == []

    async def find_mark(stores: Stores) -> None:
        assert len(await stores.marks.get("used", ["one"])) == 1

    with_stores(tmp_path, mark)
    with_stores(tmp_path, find_mark)


@pytest.mark.parametrize("encryption", ["aes-256-gcm", "sm4-gcm", "off"])
def test_what_one_run_keeps_the_next_one_finds(tmp_path: Path, encryption: str) -> None:
    with_stores(tmp_path, keep, encryption=encryption)
    with_stores(tmp_path, find, encryption=encryption)
    stored = b"".join(path.read_bytes() for path in (tmp_path / "data/blobs").rglob("*") if path.is_file())
    assert (b"patient" in stored) == (encryption == "off")
    assert (tmp_path / "master.key").exists() == (encryption != "off")


def test_what_is_made_is_only_its_owners(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        with_stores(tmp_path, keep)
    finally:
        os.umask(umask)
    made = [tmp_path / "master.key", *(tmp_path / "data/blobs").rglob("*"), tmp_path / "data/blobs", tmp_path / "data"]
    assert [path for path in made if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


def test_the_cipher_may_be_changed_and_what_is_there_stays_readable(tmp_path: Path) -> None:
    with_stores(tmp_path, keep, encryption="aes-256-gcm")
    with_stores(tmp_path, find, encryption="sm4-gcm")


def test_an_archive_without_its_key_file_does_not_start_with_a_new_one(tmp_path: Path) -> None:
    with_stores(tmp_path, keep)
    (tmp_path / "master.key").rename(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"master\.key is missing"):
        with_stores(tmp_path)
    assert not (tmp_path / "master.key").exists()
    (tmp_path / "elsewhere").rename(tmp_path / "master.key")
    with_stores(tmp_path, find)


def test_another_key_file_is_refused(tmp_path: Path) -> None:
    with_stores(tmp_path, keep)
    other = tmp_path / "other"
    with_stores(other, keep)
    with pytest.raises(ValueError, match="not the one this archive was begun with"):
        with_stores(tmp_path, key_file="other/master.key")


def test_encryption_is_not_turned_on_or_off_in_passing(tmp_path: Path) -> None:
    with_stores(tmp_path, keep)
    with pytest.raises(ValueError, match="this archive is encrypted"):
        with_stores(tmp_path, encryption="off")
    clear = tmp_path / "clear"
    with_stores(clear, keep, encryption="off")
    with pytest.raises(ValueError, match="begun with WEFT_ENCRYPTION=off"):
        with_stores(clear)
    assert not (clear / "master.key").exists()


_START = """
import asyncio, sys
from pathlib import Path
from server.kernel.offload import Offload
from storage.open import open_stores

async def main():
    folder, threads = sys.argv[1], Offload()
    stores = await open_stores(
        f"sqlite://{folder}/data/weft.sqlite", f"file://{folder}/data/blobs",
        encryption="aes-256-gcm", key_file=Path(folder, "master.key"), threads=threads,
    )
    (ref,) = await stores.blobs.put_all([b"content"])
    print(ref.name, ref.size)
    await stores.close()
    threads.close()

sys.stdin.readline()
asyncio.run(main())
"""


def test_several_first_starts_at_once_make_one_archive(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", _START, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    lines = [worker.communicate(timeout=60)[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 4

    async def all_there(stores: Stores) -> None:
        assert {name async for name in stores.blobs.list()} == {name for name, _ in lines}

    with_stores(tmp_path, all_there)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"records": "postgres://host/db"}, "records: scheme 'postgres' is not known; use sqlite:///path"),
        ({"records": ""}, None),
        ({"records": "weft.sqlite"}, "records: scheme '' is not known"),
        ({"records": "sqlite:weft.sqlite"}, "sqlite: give an absolute path"),
        ({"records": "sqlite://"}, "sqlite: give an absolute path"),
        ({"records": "sqlite:///"}, "sqlite: give an absolute path"),
        ({"blobs": "ftp://host/folder"}, "blobs: scheme 'ftp' is not known; use file:///path"),
        ({"blobs": "file://host/folder"}, "file: give an absolute path"),
        ({"blobs": "s3://"}, "s3://bucket/prefix takes"),
        ({"blobs": "s3://bucket?secret_key=x"}, "s3://bucket/prefix takes"),
        ({"blobs": "s3://bucket?endpoint=http://203.0.113.1"}, "is not https; add allow_http=true"),
        ({"encryption": "rot13"}, "one of aes-256-gcm, sm4-gcm, off"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path, settings: dict[str, str], said: str | None) -> None:
    if said is None:
        with_stores(tmp_path, **settings)
        return
    with pytest.raises(ValueError) as caught:
        with_stores(tmp_path, **settings)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("driver", "urls", "said"),
    [
        ("obstore", ("sqlite://{0}/r", "s3://bucket"), "pip install 'weft[s3]'"),
        ("pymongo", ("mongodb://127.0.0.1/weft", "file://{0}/b"), "pip install pymongo"),
    ],
)
def test_a_missing_driver_is_named_with_what_to_install(
    tmp_path: Path, driver: str, urls: tuple[str, str], said: str
) -> None:
    code = (
        f"import sys, asyncio; sys.modules[{driver!r}] = None\n"
        "from pathlib import Path; from server.kernel.offload import Offload; from storage.open import open_stores\n"
        "try: asyncio.run(open_stores(*sys.argv[1:], encryption='off', key_file=Path('k'), threads=Offload()))\n"
        "except ValueError as error: print(error)"
    )
    arguments = [url.format(tmp_path) for url in urls]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert said in done.stdout


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for settings in (
        {"blobs": f"file://{tmp_path}/file/blobs"},
        {"records": f"sqlite://{tmp_path}/file/x/weft.sqlite"},
    ):
        with pytest.raises(StoreUnavailable):
            with_stores(tmp_path, **settings)


def test_paths_may_hold_any_character(tmp_path: Path) -> None:
    folder = tmp_path / "a b%20c?d#é"
    folder.mkdir()
    with_stores(folder, keep)
    with_stores(folder, find)
    assert (folder / "data/weft.sqlite").exists()


def test_an_archive_in_mongodb_and_s3_opens_by_url(
    tmp_path: Path, mongodb_url: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    bucket = s3_server.new_bucket()
    settings = {
        "records": mongodb_url.replace("/?", f"/{bucket}?"),
        "blobs": s3_server.url(bucket, "archive/one"),
    }
    assert bucket in settings["records"]
    with_stores(tmp_path, keep, **settings)
    with_stores(tmp_path, find, **settings)
    with pytest.raises(ValueError, match="encrypted"):
        with_stores(tmp_path, encryption="off", **settings)
    client = s3_server.client()
    keys = [each["Key"] for each in client.list_objects_v2(Bucket=bucket)["Contents"]]
    client.close()
    assert [key.startswith("archive/one/") for key in keys] == [True]


def test_the_endpoint_may_come_from_the_environment(
    tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.endpoint)
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    with_stores(tmp_path, keep, blobs=f"s3://{s3_server.new_bucket()}")


def test_a_bucket_that_is_missing_or_closed_is_told_at_the_start(
    tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreUnavailable, match="does not exist"):
        with_stores(tmp_path, blobs=s3_server.url("weft-no-such-bucket"))
    if s3_server.name != "moto":  # which lets everybody in
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
        with pytest.raises(StoreUnavailable, match="closed to these credentials") as caught:
            with_stores(tmp_path, blobs=s3_server.url(s3_server.new_bucket()))
        assert "not-the-secret" not in str(caught.value)
