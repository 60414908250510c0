"""What a load cost: CPU of the server's processes, their memory, and how much of the machine others took."""

from __future__ import annotations

import os
import resource
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Cost:
    """In seconds of CPU, and bytes."""

    wall: float = 0.0
    server: float = 0.0
    client: float = 0.0
    others: float = 0.0
    resident: int = 0


def usage(pid: int) -> tuple[float, int]:
    """CPU seconds so far and resident bytes of a process and all below it; nothing for pid 0."""
    cpu, resident = 0.0, 0
    for each in _family(pid) if pid else ():
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        cpu += (int(fields[11]) + int(fields[12])) / _TICKS
        resident += int(fields[21]) * _PAGE
    return cpu, resident


class Meter:
    """Measures between entering and leaving."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.cost = Cost()

    def __enter__(self) -> Meter:
        self._ended = threading.Event()
        self._begun = (time.perf_counter(), usage(self._pid)[0], _client(), _busy())
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        wall, server, client, busy = self._begun
        self._ended.set()
        self._watcher.join()
        now, resident = usage(self._pid)
        cost = self.cost
        cost.wall, cost.server, cost.client = time.perf_counter() - wall, now - server, _client() - client
        cost.others = max(0.0, _busy() - busy - cost.server - cost.client)
        cost.resident = max(cost.resident, resident)

    def _watch(self) -> None:
        while not self._ended.wait(0.25):
            self.cost.resident = max(self.cost.resident, usage(self._pid)[1])


def _family(pid: int) -> list[int]:
    found, waiting = [], [pid]
    while waiting:
        each = waiting.pop()
        found.append(each)
        try:
            children = Path(f"/proc/{each}/task/{each}/children").read_text()
        except OSError:
            continue
        waiting += [int(child) for child in children.split()]
    return found


def _client() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _busy() -> float:
    """CPU seconds the whole machine has worked."""
    fields = [int(each) for each in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / _TICKS
