"""What is hidden is as if it were not there: the same questions to an archive that never had it have the same answers.

So nothing is implied either: no total, no page, no order, no search by what is taken out of what is shown.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.access import records
from tests.access.asking import Ask
from tests.access.hospital import opened_hospital
from tests.access.matrix import Matrix
from tests.access.people import named

HIDDEN = frozenset({"p-psy", "p-doc", "p-bin", "p-before", "e-psy"})
"""What nobody of the care team sees once the patient has said: nothing labelled PSY."""


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Matrix, Matrix]]:
    folder = tmp_path_factory.mktemp("absence")
    with opened_hospital(folder / "a") as one, opened_hospital(folder / "b") as other:
        one.fill()
        other.fill(HIDDEN)
        for each in (one, other):
            each.put(records.consents()["not-psy"])
        yield Matrix(one), Matrix(other)


def questions(matrix: Matrix) -> list[Ask]:
    listed = [each for each in matrix.asks if each.row.startswith(("history.type", "search", "qido"))]
    listed += [each for each in matrix.asks if "$everything" in each.row or "$lastn" in each.row]
    return [each for each in listed if "_content" not in each.path]


@pytest.mark.parametrize("who", ["radiologist", "backend"])
def test_hidden_is_as_absent(archives: tuple[Matrix, Matrix], who: str) -> None:
    with_it, without_it = archives
    for ask in questions(with_it):
        one, other = with_it.asked(ask, named(who)), without_it.asked(ask, named(who))
        assert one == other, ask.name
