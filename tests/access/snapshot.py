"""The matrix as text that a person can read: for each request the different answers, and who gets which under what.

Consents are told by their place among the six; an answer that nobody's consent changes is told once. An object in
brackets is only named, by its id or UID.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tests.access.asking import Ask
from tests.access.matrix import DIRECT, Cell, Matrix
from tests.access.people import ACTORS, NOBODY
from tests.access.records import RESOURCES_OF_STUDIES, UIDS, consents

CONSENTS = tuple(consents())
_EVERY = "".join(map(str, range(len(CONSENTS))))


def rendered(matrix: Matrix) -> str:
    return "\n".join([*_head(), *_direct(matrix), *_answers(matrix)]) + "\n"


def _head() -> Iterator[str]:
    yield "Consents: " + "  ".join(f"{n} {name}" for n, name in enumerate(CONSENTS))
    yield ""
    yield "== Who may read what directly"


def _direct(matrix: Matrix) -> Iterator[str]:
    for name in DIRECT:
        found = {(consent, who): name in seen for (consent, who), seen in matrix.direct.items()}
        yield f"{name} << {_who(key for key, yes in found.items() if yes) or 'no one'}"


def _answers(matrix: Matrix) -> Iterator[str]:
    row = ""
    for ask, cells in matrix.cells.items():
        if ask.row != row:
            row = ask.row
            yield f"\n== {row}"
        yield _named(ask.name)
        answers: dict[str, list[tuple[str, str]]] = {}
        for key, cell in cells.items():
            answers.setdefault(_told(cell, ask), []).append(key)
        for answer, keys in answers.items():
            if who := _who(key for key in keys if not answer.startswith("401")):
                yield f"    {answer} << {who}"


def _told(cell: Cell, ask: Ask) -> str:
    counts = "" if ask.row == "history.system" else cell.total  # these count how often the consent was changed
    named = _grouped(cell.shown.named)
    told = (str(cell.status), counts and f"[{counts}]", _grouped(cell.shown.contents), named and f"({named})")
    return " ".join(filter(None, told))


def _grouped(names: Iterable[str]) -> str:
    """`p-{lab,psy} q-psy`."""
    found: dict[str, list[str]] = {}
    for each in sorted(names):
        found.setdefault(each[:2], []).append(each[2:])
    return " ".join(f"{of}{some[0]}" if len(some) == 1 else f"{of}{{{','.join(some)}}}" for of, some in found.items())


def _who(keys: Iterable[tuple[str, str]], is_of_nobody: bool = False) -> str:
    """`nurse radiologist:013`: for which actors, under which consents where not under all."""
    found: dict[str, str] = {}
    for consent, who in keys:
        found[who] = found.get(who, "") + str(CONSENTS.index(consent))
    numbers: dict[str, list[str]] = {}
    for each in ACTORS:
        if each.id in found:
            which = _EVERY if each is NOBODY else "".join(sorted(found[each.id]))
            numbers.setdefault(which, []).append(each.id)
    return "  ".join(
        f"{'+'.join(who)}" + ("" if which == _EVERY or is_of_nobody else f":{which}") for which, who in numbers.items()
    )


def _named(text: str) -> str:
    for name, uid in UIDS.items():
        text = text.replace(uid, name)
    for id_, name in RESOURCES_OF_STUDIES.items():
        text = text.replace(id_, name)
    return text
