"""An S3 server for tests: a real one where one is at hand, moto's HTTP server otherwise.

`WEFT_TEST_S3` names one that already runs, as `http://access-key:secret-key@host:port`; otherwise a `versitygw`,
`weed` or `minio` on PATH or in `~/go/bin` is started; otherwise moto. Each listens on loopback only, in a process of
its own, and is ended by the test run that started it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import boto3
from botocore.config import Config

from tests.ports import free_port

_KEY, _SECRET, _REGION = "weft-test-key", "weft-test-secret", "us-east-1"
_MOTO = """
import sys, logging
logging.getLogger("werkzeug").disabled = True
from moto.server import main
main(["-H", "127.0.0.1", "-p", sys.argv[1]])
"""


@dataclass(frozen=True, slots=True)
class S3Server:
    """Where it listens and who may use it; `name` tells reports what it is."""

    name: str
    endpoint: str
    access_key: str = _KEY
    secret_key: str = _SECRET

    @property
    def environment(self) -> dict[str, str]:
        """The variables a process needs to use it."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": _REGION,
        }

    def url(self, bucket: str, prefix: str = "") -> str:
        """A blobs URL of that bucket."""
        path = f"{bucket}/{prefix}" if prefix else bucket
        return f"s3://{path}?endpoint={quote(self.endpoint, safe='')}&region={_REGION}"

    def client(self) -> Any:
        """boto3's client, as a second pair of eyes."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=_REGION,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}),
        )

    def new_bucket(self) -> str:
        bucket = f"weft-{secrets.token_hex(6)}"
        client = self.client()
        client.create_bucket(Bucket=bucket)
        client.close()
        return bucket


@contextmanager
def running_s3() -> Iterator[S3Server]:
    """A server to test with, ended when the context is."""
    if given := os.environ.get("WEFT_TEST_S3"):
        parts = urlsplit(given)
        endpoint = f"{parts.scheme}://{parts.hostname}:{parts.port or 80}"
        yield S3Server(endpoint, endpoint, parts.username or _KEY, parts.password or _SECRET)
        return
    with tempfile.TemporaryDirectory(prefix="weft-s3-") as folder:
        port = free_port()
        name, command, environment = _command(Path(folder), port)
        process = subprocess.Popen(
            command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder
        )
        try:
            server = S3Server(name, f"http://127.0.0.1:{port}")
            _await_answer(server, process)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _command(folder: Path, port: int) -> tuple[str, list[str], Mapping[str, str]]:
    data = folder / "data"
    data.mkdir()
    address = f"127.0.0.1:{port}"
    if binary := _binary("versitygw"):
        options = ["--access", _KEY, "--secret", _SECRET, "--port", address]
        return "versitygw", [binary, *options, "posix", "--sidecar", _made(folder / "sidecar"), str(data)], {}
    if binary := _binary("minio"):
        options = ["server", "--quiet", "--address", address, str(data)]
        return "minio", [binary, *options], {"MINIO_ROOT_USER": _KEY, "MINIO_ROOT_PASSWORD": _SECRET}
    if binary := _binary("weed"):
        return "weed", [binary, *_weed_options(folder, port)], {}
    return "moto", [sys.executable, "-W", "ignore", "-c", _MOTO, str(port)], {}


def _weed_options(folder: Path, port: int) -> list[str]:
    identities = folder / "s3.json"
    identities.write_text(
        f'{{"identities": [{{"name": "test", "credentials": [{{"accessKey": "{_KEY}", "secretKey": "{_SECRET}"}}],'
        ' "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}'
    )
    ports = [f"-{each}.port={free_port()}" for each in ("master", "volume", "filer")]
    places = [f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    return ["server", *places, *ports, "-s3", f"-s3.port={port}", f"-s3.config={identities}"]


def _made(folder: Path) -> str:
    folder.mkdir()
    return str(folder)


def _binary(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=str(Path.home() / "go/bin"))


def _await_answer(server: S3Server, process: subprocess.Popen[bytes]) -> None:
    client = server.client()
    deadline = time.monotonic() + 60
    while True:
        try:
            client.list_buckets()
        except Exception:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the S3 server for tests ({server.name}) does not answer") from None
            time.sleep(0.05)
        else:
            client.close()
            return
