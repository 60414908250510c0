"""The leak matrix: every endpoint x twelve who ask, and nobody, x six consents, against one committed snapshot.

After a change that is meant, write the snapshot anew and read what differs as a privacy officer would:

    python -m tests.access.test_matrix

The snapshot says what is. What must be is said by the direct reads: whoever is refused an object itself gets none of
its content by any other way, and no name of it that is not told by something they may read.

What looks odd there and stands:

- What only a consent refuses is answered 403 and not 404, so that a clinician knows to ask or to break the glass; what
  is out of an actor's reach for any other reason is as absent. On DICOMweb both are absent, but a study of which a part
  is barred is refused as a whole with 403.
- To put a resource under the id of a hidden one is 403: it can neither be made nor be said to be there.
- A visible resource names the patients it is about (a Communication to another patient), and a Consent whom and what
  it speaks of; nothing else of these is told.
- A Task, Group, Bundle or Provenance lies in no Patient compartment, so nobody whose reach is some patients has them,
  not even of their own. Of a Provenance whose target is hidden the rest stays.
- An old version is seen by who may see it as it was and as it is now: labelled first and relabelled later it stays
  hidden; a series that is labelled today is taken out of every earlier version.
- Consents govern what is shown, not what is recorded: a nurse whom a patient shut out still stores a result, and is
  answered without its content. Patients and their proxies record observations and images of their own.
- The recorder sees who the patients are, and consents, whatever these say. Administrators see subscriptions, whose
  criteria may name a patient.
- Over SOAP nothing is refused for want of a right: what may not be seen is not there, so who may see no documents is
  answered as if there were none. What is asked for by an id is told again in the error that it is not known.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.access.asking import Ask
from tests.access.hospital import opened_hospital
from tests.access.matrix import Cell, Matrix, shown_in
from tests.access.snapshot import rendered

SNAPSHOT = Path(__file__).with_name("matrix.txt")


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    return made(tmp_path_factory.mktemp("hospital"))


def made(folder: Path) -> Matrix:
    with opened_hospital(folder) as hospital:
        hospital.fill()
        matrix = Matrix(hospital)
        matrix.run()
        return matrix


def cells(matrix: Matrix) -> Iterator[tuple[Ask, str, str, Cell]]:
    for ask, found in matrix.cells.items():
        for (consent, who), cell in found.items():
            yield ask, consent, who, cell


def test_every_row_is_asked(matrix: Matrix) -> None:
    asked = {(ask.row, ask.method) for ask in matrix.cells}
    assert {(name, method) for name, method in matrix.rows if (name.partition(" ")[2], method) not in asked} == set()


def test_the_answers_are_those_of_the_snapshot(matrix: Matrix) -> None:
    assert rendered(matrix).splitlines() == SNAPSHOT.read_text().splitlines()


def test_nothing_faults_and_nobody_gets_in(matrix: Matrix) -> None:
    for ask, _, who, cell in cells(matrix):
        assert cell.status < 500, ask.name
        if who == "nobody":
            assert cell.status == (200 if ask.row == "capabilities" else 401), ask.name
            assert not cell.shown.contents, ask.name


def test_no_content_is_shown_of_what_may_not_be_read(matrix: Matrix) -> None:
    for ask, consent, who, cell in cells(matrix):
        said = shown_in(ask.text)
        leaked = cell.shown.contents - matrix.direct[consent, who] - said.contents
        assert not leaked, f"{who} under {consent}: {ask.name} shows {sorted(leaked)}"


NAMES = {"p-self", "q-self", "p-mother", "p-lab"}
"""A resource that may be read names the patients it is about and, a Consent, whom and what it speaks of."""


def test_nothing_hidden_is_named_but_patients_and_what_consents_are_about(matrix: Matrix) -> None:
    for ask, consent, who, cell in cells(matrix):
        said = shown_in(ask.text)
        named = cell.shown.named - matrix.direct[consent, who] - said.named - said.contents
        assert named <= (NAMES if who == "recorder" else {"p-self", "q-self"}), f"{who} under {consent}: {ask.name}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        SNAPSHOT.write_text(rendered(made(Path(folder))))
