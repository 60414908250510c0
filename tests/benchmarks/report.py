"""Runs kept as JSON, medians over rounds, and the comparison of two."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.benchmarks.load import Load
from tests.benchmarks.meter import Cost


@dataclass
class Measure:
    """One case in one round."""

    rate: float
    """Requests, or images, per second."""
    megabytes: float
    """Per second."""
    median_ms: float
    slow_ms: float
    cpu_ms: float
    """CPU of the server for each request or image; 0 where its process is not known."""
    resident_mb: float
    others: float
    """Cores that neither server nor client used: much of it marks a disturbed round."""
    wrong: int

    @staticmethod
    def of(load: Load, cost: Cost, images: int = 1) -> Measure:
        done = max(1, load.requests * images)
        seconds = max(load.seconds, 1e-9)
        return Measure(
            rate=done / seconds,
            megabytes=load.octets / seconds / 1e6,
            median_ms=load.median * 1e3,
            slow_ms=load.slow * 1e3,
            cpu_ms=cost.server * 1e3 / done,
            resident_mb=cost.resident / 1e6,
            others=cost.others / max(cost.wall, 1e-9),
            wrong=load.wrong,
        )


@dataclass
class Run:
    label: str
    base_url: str
    rows: dict[str, list[Measure]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, measure: Measure) -> None:
        self.rows.setdefault(name, []).append(measure)

    def median(self, name: str) -> Measure:
        """Over the rounds, each figure by itself."""
        rounds = [asdict(each) for each in self.rows[name]]
        return Measure(**{key: statistics.median(each[key] for each in rounds) for key in rounds[0]})

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False))

    @staticmethod
    def load(path: Path) -> Run:
        told = json.loads(path.read_text())
        rows = {name: [Measure(**each) for each in rounds] for name, rounds in told.pop("rows").items()}
        return Run(rows=rows, **told)

    def lines(self) -> list[str]:
        told = [f"{'':28} {'rate/s':>10} {'MB/s':>8} {'p50 ms':>9} {'p95 ms':>9} {'CPU ms':>8} {'RSS MB':>7} others"]
        for name in self.rows:
            each = self.median(name)
            wrong = f"  {each.wrong:.0f} wrong" if each.wrong else ""
            told.append(
                f"{name:28} {each.rate:10.1f} {each.megabytes:8.1f} {each.median_ms:9.2f} {each.slow_ms:9.2f}"
                f" {each.cpu_ms:8.3f} {each.resident_mb:7.0f} {each.others:6.2f}{wrong}"
            )
        return [*told, *(f"{name:28} {note}" for name, note in self.notes.items())]


def compare(one: Run, other: Run) -> list[str]:
    """How the second does beside the first: more than 1 is better in both columns."""
    lines = [f"{'':28} {one.label:>12} {other.label:>12} {'rate':>8} {'CPU':>8}"]
    for name in [name for name in one.rows if name in other.rows]:
        a, b = one.median(name), other.median(name)
        cpu = f"{a.cpu_ms / b.cpu_ms:7.2f}x" if a.cpu_ms and b.cpu_ms else f"{'-':>8}"
        lines.append(f"{name:28} {a.rate:12.1f} {b.rate:12.1f} {b.rate / a.rate:7.2f}x {cpu}")
    only = sorted(one.rows.keys() ^ other.rows.keys())
    return lines + ([f"measured in one of the two only: {', '.join(only)}"] if only else [])
