"""A real server for the end-to-end suite: a process of its own, a free port, its own stores, its own data folder."""

from __future__ import annotations

import os
import secrets
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tests.ports import free_port

T = TypeVar("T")

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60
STOP_SECONDS = 40


@dataclass(frozen=True)
class Place:
    """Where an archive lives: the settings that lead there."""

    name: str
    data: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def variables(self, **settings: str) -> dict[str, str]:
        """For a process of `weft`; nothing of the tester's own settings gets in. Without sign-in unless asked for."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("WEFT_")}
        named = {f"WEFT_{name.upper()}": value for name, value in settings.items()}
        return {**inherited, "WEFT_AUTH": "off", **self.environment, "WEFT_DATA": str(self.data), **named}


@dataclass
class Server:
    """A server that runs, or has run."""

    place: Place
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def dicomweb(self) -> str:
        return f"{self.url}/dicomweb"

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """As a power cut would end it, worker processes included."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """As an operator would: SIGTERM; gives the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"the server did not stop in {STOP_SECONDS} s\n{self.tail()}") from None
        return self.process.returncode

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    def faults(self) -> list[str]:
        """Lines of the log that tell of an error nobody expected."""
        return [line for line in self.log.read_text(errors="replace").splitlines() if "Traceback" in line]


def start(place: Place, *, scheme: str = "http", **settings: str) -> Server:
    """A server that answers; raises with the end of its log when it does not come up."""
    while True:
        server = _spawned(place, scheme, settings)
        if is_ready(server):
            return server
        # Between finding a free port and taking it another test may have been quicker.
        if "address already in use" not in server.tail():
            raise AssertionError(f"the server did not start\n{server.tail()}")


def _spawned(place: Place, scheme: str, settings: Mapping[str, str]) -> Server:
    port = free_port()
    place.data.mkdir(parents=True, exist_ok=True)
    log = place.data / f"server-{secrets.token_hex(3)}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "server", "serve", "--port", str(port)],
            cwd=ROOT,
            env=place.variables(**settings),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Server(place, port, process, log, scheme)


@contextmanager
def running(place: Place, **settings: str) -> Iterator[Server]:
    """A server for as long as the context lasts; it must end well, and its log must hold no trace."""
    server = start(place, **settings)
    try:
        yield server
        assert server.process.poll() is None, f"the server died\n{server.tail()}"
    finally:
        status = server.stop()
    assert status in (0, -signal.SIGTERM), f"exit status {status}\n{server.tail()}"
    assert not server.faults(), server.tail()


def weft(place: Place, *arguments: str, check: bool = False, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """One command of `weft` on the archive of the place."""
    return subprocess.run(
        [sys.executable, "-m", "server", *arguments],
        cwd=ROOT,
        env=place.variables(),
        capture_output=True,
        text=True,
        check=check,
        timeout=timeout,
    )


def eventually(ask: Callable[[], T], seconds: float = 30) -> T:
    """The first answer that is not empty: what the server's own work brings about, soon."""
    deadline = time.monotonic() + seconds
    while not (found := ask()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)
    return found


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and everything below it."""
    total, waiting = 0, [pid]
    while waiting:
        each = waiting.pop()
        try:
            status = Path(f"/proc/{each}/status").read_text()
            children = Path(f"/proc/{each}/task/{each}/children").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmRSS:"))
        waiting += [int(child) for child in children.split()]
    return total


def is_ready(server: Server) -> bool:
    """Wait for the first answer; false when the process has ended instead."""
    deadline = time.monotonic() + START_SECONDS
    # Whom clients may trust is for tests to say.
    context = ssl._create_unverified_context() if server.scheme == "https" else None
    while True:
        try:
            with urllib.request.urlopen(f"{server.url}/readyz", timeout=5, context=context) as answer:
                answer.read()
            # Another server might answer at this port: this one says in its log that it has it.
            if "Uvicorn running on" in server.tail():
                return True
        except (urllib.error.URLError, OSError):
            pass
        if server.process.poll() is not None:
            return False
        if time.monotonic() > deadline:
            server.kill()
            raise AssertionError(f"the server did not answer in {START_SECONDS} s\n{server.tail()}")
        time.sleep(0.05)
