"""A real MongoDB for tests: `mongod` as a one-member replica set on a free loopback port, shared by all test processes.

It comes from the wheel in the test extra, else from PATH; `WEFT_TEST_MONGODB` names a replica set that runs already.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from tests.ports import free_port

START_MILLISECONDS = 60_000
_SILENT = ((os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0))


class NoMongod(Exception):
    """Nothing to start, or it did not start; the text says which."""


@pytest.fixture(scope="session")
def mongodb_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a replica set, without a database; in CI its absence is a failure."""
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if os.environ.get("PYTEST_XDIST_WORKER") else folder
    try:
        with mongod(shared) as url:
            yield url
    except NoMongod as reason:
        if os.environ.get("CI") == "true":
            pytest.fail(str(reason))
        pytest.skip(str(reason))


@contextmanager
def mongod(shared: Path) -> Iterator[str]:
    """The first process to come starts it, the last to go stops it; they count themselves in a file in `shared`."""
    given = os.environ.get("WEFT_TEST_MONGODB")
    if given:
        yield given
        return
    with _state(shared) as state:
        if not state.get("users"):
            state.update(_start(_binary()))
        state["users"] = state.get("users", 0) + 1
        url = state["url"]
    try:
        yield url
    finally:
        with _state(shared) as state:
            state["users"] -= 1
            if not state["users"]:
                _stop(state)


@contextmanager
def _state(shared: Path) -> Iterator[dict[str, Any]]:
    with open(shared / "mongod.json", "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        state = json.loads(file.read() or "{}")
        yield state
        file.seek(0)
        file.truncate()
        file.write(json.dumps(state))


def _binary() -> str:
    wheel = importlib.util.find_spec("fiftyone")
    for folder in wheel.submodule_search_locations or () if wheel else ():
        inside = Path(folder) / "db" / "bin" / "mongod"
        if inside.is_file():
            return str(inside)
    found = shutil.which("mongod")
    if found is None:
        raise NoMongod("no mongod: neither the test extra's wheel, nor on PATH, nor WEFT_TEST_MONGODB")
    return found


def _start(binary: str) -> dict[str, Any]:
    folder = tempfile.mkdtemp(prefix="weft-mongod-")
    port = free_port()
    command = [
        *(binary, "--dbpath", folder, "--bind_ip", "127.0.0.1", "--port", str(port), "--replSet", "weft"),
        *("--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64", "--nounixsocket", "--quiet"),
        *("--setParameter", "diagnosticDataCollectionEnabled=false", "--logpath", f"{folder}/mongod.log"),
        # A client that a test kills leaves its transaction behind, which then ends after this long.
        *("--setParameter", "transactionLifetimeLimitSeconds=2"),
    ]
    # The wheel's file may have lost its execute bit on the way.
    if not os.access(binary, os.X_OK):
        os.chmod(binary, 0o755)
    # Not `subprocess`: whoever starts it may be gone long before it is stopped.
    pid = os.posix_spawn(binary, command, os.environ, file_actions=_SILENT, setsid=True)
    started = {"pid": pid, "folder": folder, "url": f"mongodb://127.0.0.1:{port}/?replicaSet=weft"}
    try:
        _become_primary(port, started["url"])
    except Exception as error:
        _stop(started)
        raise NoMongod(f"{binary} did not start: {error}") from error
    return started


def _become_primary(port: int, url: str) -> None:
    member = {"_id": 0, "host": f"127.0.0.1:{port}"}
    with MongoClient[Any](
        "127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=START_MILLISECONDS
    ) as client:
        client.admin.command("replSetInitiate", {"_id": "weft", "members": [member]})
    with MongoClient[Any](url, serverSelectionTimeoutMS=START_MILLISECONDS) as client:
        client.admin.command("ping")


def _stop(state: dict[str, Any]) -> None:
    """At once: what it holds is not needed any more."""
    os.kill(state["pid"], signal.SIGKILL)
    with suppress(ChildProcessError):  # another process's child
        os.waitpid(state.pop("pid"), 0)
    shutil.rmtree(state.pop("folder"), ignore_errors=True)
