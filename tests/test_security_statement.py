"""The security statement names tests that there are, and leaves no row without an answer."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATEMENT = ROOT / "conformance/statements/security.md"
ROW = re.compile(r"\| (\d+\.\d+\.\d+) \| ([12]) \| ([^|]+) \| ([^|]+) \|")
ANSWERS = ("done", "outside", "not applicable", "partly", "not done")
CHAPTERS = {
    1: 27,
    2: 11,
    3: 19,
    4: 10,
    5: 9,
    6: 33,
    7: 18,
    8: 7,
    9: 7,
    10: 29,
    11: 14,
    12: 9,
    13: 13,
    14: 9,
    15: 13,
    16: 16,
}
"""How many requirements of levels 1 and 2 each chapter has."""


def rows() -> list[tuple[str, str]]:
    """Number and answer of each requirement."""
    found = [line for line in STATEMENT.read_text().splitlines() if re.match(r"\| \d", line)]
    matched = [ROW.fullmatch(line) for line in found]
    assert all(matched), [line for line, match in zip(found, matched, strict=True) if match is None]
    return [(match[1], match[4]) for match in matched if match is not None]


def test_every_test_that_is_named_is_there() -> None:
    known = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^ *(?:async )?def (test_\w+)\(", path.read_text(), re.MULTILINE)
    }
    named = {name for _, answer in rows() for name in re.findall(r"`(test_\w+)`", answer)}
    assert len(named) > 100
    assert not named - known


def test_every_requirement_is_answered_once() -> None:
    numbers = [number for number, _ in rows()]
    assert len(numbers) == len(set(numbers))
    assert Counter(int(number.partition(".")[0]) for number in numbers) == CHAPTERS
    for number, answer in rows():
        assert answer.startswith("`test_") or re.match(rf"({'|'.join(ANSWERS)})\b", answer), number


def test_what_is_missing_is_said() -> None:
    for number, answer in rows():
        if answer.startswith("partly"):
            assert ":" in answer, number
