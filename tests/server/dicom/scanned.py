"""A Part 10 file scanned whole and in chunks."""

from __future__ import annotations

import pytest

from server.dicom import part10
from server.dicom.instance import Instance
from server.dicom.limits import Limits
from server.kernel.problem import Problem


def refusal(data: bytes, limits: Limits | None = None) -> Problem:
    with pytest.raises(Problem) as caught:
        part10.scan(data, limits=limits or Limits())
    with pytest.raises(Problem) as in_chunks:
        fed(data, 7 if len(data) < 5000 else 4096, limits or Limits())
    assert in_chunks.value.kind == caught.value.kind
    return caught.value


def fed(data: bytes, size: int, limits: Limits | None = None) -> Instance:
    scanner = part10.Scanner(limits or Limits())
    for start in range(0, len(data), size):
        scanner.feed(data[start : start + size])
    return scanner.finish()


def troubles(instance: Instance) -> dict[str, str]:
    return {each.path: each.text for each in instance.irregularities}
