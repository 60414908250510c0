"""The test plans of the NIST toolkit: steps with their messages, what they take from each other, what they expect."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

KINDS = {
    "RegisterTransaction",
    "ProvideAndRegisterTransaction",
    "StoredQueryTransaction",
    "MPQTransaction",
    "RetrieveTransaction",
    "PatientIdentityFeedTransaction",
    "NullTransaction",
    "HttpTransaction",
}
_FIRST = ("load/", "kos/", "register/", "repository/", "query/")
"""Queries ask for what was loaded, and for what the tests of other transactions left."""
_SECTIONS = {
    "11994": ("submit", "rplc", "xfrm", "eval"),
    "12022": ("submit", "submit1", "apnd", "xfrmapnd", "xfrmapnd1", "rplc", "eval"),
    "12323": (
        *("no_time", "verify_no_submission_time", "has_time", "verify_has_submission_time", "add_to_folder"),
        *("verify_time_updated", "rplc", "verify_time_updated_by_rplc"),
    ),
}
"""Sections in the order their toolkit runs them, where their names do not tell it."""
_EARLY = ("patient", "register_new", "init", "create", "has_time", "submit", "single", "doc", "two_doc", "add")
_LATE = ("verify", "query", "eval", "retrieve")


@dataclass(frozen=True)
class Use:
    """A value taken from an earlier step: what a report found there, or what was assigned to one of its objects."""

    name: str
    """Of the report, or id of the object."""
    symbol: str
    section: str
    """Folder, relative to the step's own."""
    step: str
    kind: str = ""
    """`AssignedUids`, `AssignedUuids`, `AssignedPatientId`; empty for a report."""
    test: str = ""
    """Number of the test whose patient it is."""


@dataclass(frozen=True)
class Step:
    name: str
    """`toolkit/register/11990/submit:submit`."""
    folder: Path
    kind: str
    element: etree._Element
    """Its TestStep."""
    message: str
    status: str
    errors: str
    contents: tuple[str, ...]

    @property
    def place(self) -> str:
        return self.name.rpartition(":")[0]

    def has(self, name: str) -> bool:
        return next(self.element.iter(name), None) is not None

    @property
    def uses(self) -> Iterator[Use]:
        for each in self.element.iter("UseId"):
            place = each.get("testdir", ".")
            yield Use(each.get("id", ""), each.get("symbol", ""), place, each.get("step", ""), each.get("section", ""))
        for each in self.element.iter("UseReport"):
            section = each.get("section", "")
            place = "." if section == "THIS" else f"../{section}"
            named = (each.get("reportName", ""), each.get("useAs", ""), place, each.get("step", ""))
            yield Use(*named, test=each.get("test", ""))

    @property
    def reports(self) -> Iterator[tuple[str, str, str]]:
        """Name, whether of what was sent or of its answer, and the expression."""
        for each in self.element.iter("Report"):
            yield each.get("name", ""), each.get("section", ""), (each.text or "").strip()

    @property
    def documents(self) -> Iterator[tuple[str, Path]]:
        for each in self.element.iter("Document"):
            yield each.get("id", ""), self.folder / (each.text or "").strip()

    @property
    def asserted(self) -> Iterator[str]:
        return ((each.text or "").strip() for each in self.element.iter("Assert"))


def steps(root: Path) -> list[Step]:
    """Of all plans but those of imaging, in an order in which each finds what it needs."""
    with (root / "EXPECTED.tsv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["transaction"] in KINDS]
    found = [_step(root, row) for row in rows if "/imaging/" not in row["testplan"]]
    return sorted(found, key=_turn)


def _step(root: Path, row: dict[str, str]) -> Step:
    plan = root / row["testplan"]
    parser = etree.XMLParser(remove_comments=True, resolve_entities=False)
    named = (each for each in etree.parse(plan, parser).iter("TestStep") if each.get("id") == row["step"])
    return Step(
        name=f"{row['testplan'].rpartition('/')[0]}:{row['step']}",
        folder=plan.parent,
        kind=row["transaction"],
        element=next(named),
        message=row["message"],
        status=row["expected_status"],
        errors=row["expected_error_text"] or row["expected_error_codes"],
        contents=tuple(filter(None, row["expected_contents"].split(","))),
    )


def _turn(step: Step) -> tuple[int, str, int]:
    place = step.place.removeprefix("toolkit/")
    group = next(number for number, each in enumerate(_FIRST) if place.startswith(each))
    test, _, section = place.rpartition("/")
    return group, test, _place(test.rpartition("/")[2], section)


def _place(test: str, section: str) -> int:
    if test in _SECTIONS:
        return _SECTIONS[test].index(section)
    return _rank(section, _EARLY, 0, _rank(section, _LATE, 100, 50))


def _rank(section: str, beginnings: Sequence[str], start: int, otherwise: int) -> int:
    found = (start + number for number, each in enumerate(beginnings) if section.startswith(each))
    return next(found, otherwise)
