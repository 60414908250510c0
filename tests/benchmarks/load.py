"""Load on a server: requests from several connections for some seconds or until all are done.

`wrk` makes short GETs where it is installed, since it costs the machine least; threads with blocking sockets do the
rest.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from tests.benchmarks.wire import Answer, Connection

T = TypeVar("T")

_SCRIPT = """
local paths, place = {}, 0
function init(arguments)
  for line in io.lines(arguments[1]) do paths[#paths + 1] = wrk.format("GET", line) end
end
function request() place = place % #paths + 1; return paths[place] end
function done(all, latency)
  local wrong = all.errors.status + all.errors.connect + all.errors.read + all.errors.write + all.errors.timeout
  print(string.format('RESULT{"requests":%d,"bytes":%d,"seconds":%f,"median":%f,"slow":%f,"wrong":%d}',
    all.requests, all.bytes, all.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(95) / 1e6, wrong))
end
"""


@dataclass
class Load:
    """What a load came to: seconds for latencies, `wrong` counts answers of another status than 2xx."""

    requests: int = 0
    octets: int = 0
    seconds: float = 0.0
    median: float = 0.0
    slow: float = 0.0
    wrong: int = 0


@dataclass(frozen=True)
class Target:
    """A server at a base URL, with headers that go with every request."""

    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    may_use_wrk: bool = True

    @property
    def url(self) -> SplitResult:
        return urlsplit(self.base_url.rstrip("/"))

    def get(self, path: str, accept: str) -> Answer:
        connection = Connection(self.url)
        try:
            return connection.request("GET", self.url.path + path, self._headers(accept), keep=True)
        finally:
            connection.close()

    def gets(self, paths: Sequence[str], accept: str, clients: int, seconds: float) -> Load:
        """The paths in turn, over and over, for so long."""
        if self.may_use_wrk and (wrk := shutil.which("wrk")):
            return self._wrk(wrk, paths, accept, clients, seconds)
        end = time.perf_counter() + seconds
        return self._threads(_round_robin(paths, end), self._getting(accept), clients)

    def get_each(self, paths: Sequence[str], accept: str, clients: int) -> Load:
        """Every path once."""
        return self._threads(iter(paths), self._getting(accept), clients)

    def post_each(
        self, bodies: Sequence[bytes], content_type: str, clients: int, check: Callable[[Answer], bool]
    ) -> Load:
        """Every body once, to `/studies`."""
        headers = {**self._headers("application/dicom+json"), "Content-Type": content_type}
        path = self.url.path + "/studies"

        def post(connection: Connection, body: bytes) -> tuple[int, bool]:
            answer = connection.request("POST", path, headers, body, keep=True)
            return len(body), check(answer)

        return self._threads(iter(bodies), post, clients)

    def posts(
        self, path: str, bodies: Sequence[bytes], headers: Mapping[str, str], clients: int, seconds: float
    ) -> Load:
        """The bodies in turn, over and over, for so long; an answer in which an error stands is wrong."""
        path, named = self.url.path + path, {**self.headers, **headers}

        def post(connection: Connection, body: bytes) -> tuple[int, bool]:
            answer = connection.request("POST", path, named, body, keep=True)
            return answer.length, answer.status == 200 and b"RegistryError" not in (answer.body or b"")

        return self._threads(_round_robin(bodies, time.perf_counter() + seconds), post, clients)

    def _headers(self, accept: str) -> dict[str, str]:
        return {**self.headers, "Accept": accept}

    def _getting(self, accept: str) -> Callable[[Connection, str], tuple[int, bool]]:
        headers, prefix = self._headers(accept), self.url.path

        def get(connection: Connection, path: str) -> tuple[int, bool]:
            answer = connection.request("GET", prefix + path, headers)
            return answer.length, answer.status in (200, 206)

        return get

    def _threads(self, jobs: Iterator, act: Callable[..., tuple[int, bool]], clients: int) -> Load:  # type: ignore[type-arg]
        load, latencies, lock = Load(), [], threading.Lock()

        def work() -> None:
            connection = Connection(self.url)
            while True:
                with lock:
                    job = next(jobs, None)
                if job is None:
                    break
                begun = time.perf_counter()
                octets, is_right = act(connection, job)
                with lock:
                    latencies.append(time.perf_counter() - begun)
                    load.octets += octets
                    load.wrong += not is_right
            connection.close()

        begun = time.perf_counter()
        threads = [threading.Thread(target=work) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        load.seconds = time.perf_counter() - begun
        load.requests = len(latencies)
        latencies.sort()
        if latencies:
            load.median, load.slow = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.95)]
        return load

    def _wrk(self, wrk: str, paths: Sequence[str], accept: str, clients: int, seconds: float) -> Load:
        with tempfile.TemporaryDirectory(prefix="weft-bench-") as folder:
            script, listed = Path(folder) / "paths.lua", Path(folder) / "paths"
            script.write_text(_SCRIPT)
            listed.write_text("".join(f"{self.url.path}{path}\n" for path in paths))
            headers = [each for key, value in self._headers(accept).items() for each in ("-H", f"{key}: {value}")]
            command = [wrk, "-t1", f"-c{clients}", f"-d{math.ceil(seconds)}s", "--timeout", "60s", "-s", str(script)]
            address = f"{self.url.scheme}://{self.url.netloc}"
            ended = subprocess.run([*command, *headers, address, "--", str(listed)], capture_output=True, text=True)
        found = re.search(r"RESULT(\{.*\})", ended.stdout)
        if found is None:
            raise RuntimeError(ended.stdout + ended.stderr)
        told = json.loads(found[1])
        return Load(**{"octets" if key == "bytes" else key: value for key, value in told.items()})


def _round_robin(jobs: Sequence[T], end: float) -> Iterator[T]:
    place = 0
    while time.perf_counter() < end:
        yield jobs[place % len(jobs)]
        place += 1
