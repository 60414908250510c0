"""HL7's validator cases: their files, the settings each asks for, and what HL7's validator found."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from profiles.findings import Finding, Severity
from profiles.terminology.service import Terminology
from profiles.validator.options import Options
from profiles.validator.validator import Validator
from server.fhir import xml_form
from server.kernel.problem import Problem

Resource = dict[str, Any]

AS_HL7 = Options(unknown_extensions=Severity.ERROR, targets=None, doubtful=Severity.ERROR)
"""The settings under which HL7 ran its cases."""
_ROOT = re.compile(rb"<(?:\w+:)?([A-Z]\w+)[\s>]")
_COUNTED_FROM_ONE = ("The fullUrl", "Can't find", "Entry '")
"""Messages whose places HL7's validator numbers otherwise, or always as the first."""


@dataclass
class Loaded:
    """The structures, code systems and value sets that a case brings along."""

    by_url: dict[str, Resource] = field(default_factory=dict)

    def add(self, resource: Resource) -> None:
        self.by_url[str(resource.get("url"))] = resource
        self.by_url[f"{resource.get('url')}|{resource.get('version')}"] = resource

    def find(self, url: str) -> Resource | None:
        return self._of("StructureDefinition", url)

    def code_system(self, url: str, version: str | None = None) -> Resource | None:
        return self._of("CodeSystem", url)

    def value_set(self, url: str, version: str | None = None) -> Resource | None:
        return self._of("ValueSet", url)

    def concept_map(self, url: str, version: str | None = None) -> Resource | None:
        return None

    def concept_maps(self) -> Iterator[Resource]:
        return iter(())

    def _of(self, kind: str, url: str) -> Resource | None:
        found = self.by_url.get(url)
        return found if found is not None and found["resourceType"] == kind else None


@dataclass(frozen=True)
class Cases:
    files: Mapping[str, bytes]
    cases: tuple[dict[str, Any], ...]

    def resource(self, name: str) -> Resource:
        text = self.files[f"validator/{name}"]
        if name.endswith(".xml"):
            return xml_form.decode(text)
        found: Resource = json.loads(text, parse_float=Decimal)
        return found

    def outcome(self, told: Any) -> list[Resource] | None:
        """The errors of a stored outcome; `None` where none is stored."""
        text = self.files.get(f"validator/outcomes/{told}") if isinstance(told, str) else None
        if text is None:
            return None
        return [each for each in json.loads(text).get("issue", ()) if each["severity"] in ("error", "fatal")]

    def findings(self, case: Mapping[str, Any], *, against_profile: bool) -> list[Finding]:
        """The errors that our validator finds."""
        loaded, urls = self._loaded(case, against_profile)
        validator = Validator(loaded, Terminology([loaded]), options(case, loaded))
        try:
            resource = self.resource(case["file"])
        except Problem as problem:
            return [_unreadable(problem, self.files[f"validator/{case['file']}"])]
        return [each for each in validator.validate(resource, profiles=urls) if each.is_error]

    def _loaded(self, case: Mapping[str, Any], against_profile: bool) -> tuple[Loaded, list[str]]:
        loaded, profile = Loaded(), case.get("profile", {}) if against_profile else {}
        for name in (*case.get("supporting", ()), *case.get("profiles", ()), *profile.get("supporting", ())):
            self._add(name, loaded)
        source = profile.get("source")
        return loaded, [str(found["url"])] if source and (found := self._add(source, loaded)) else []

    def _add(self, name: str, loaded: Loaded) -> Resource | None:
        """A supporting file; some are out of order as XML, which HL7's reader overlooks."""
        try:
            found = self.resource(name)
        except Problem:
            return None
        loaded.add(found)
        return found


def read(shared: Path) -> Cases:
    with tarfile.open(shared / "data/fhir/examples/hl7-fhir-test-cases-r4.tar.xz") as archive:
        files = {
            each.name.removeprefix("./").partition("hl7-fhir-test-cases-r4/")[2]
            or each.name.removeprefix("./"): opened.read()
            for each in archive
            if each.isfile() and (opened := archive.extractfile(each)) is not None
        }
    manifest = json.loads(files["manifest-selected.json"])
    return Cases(files, tuple(manifest["test-cases"]))


def options(case: Mapping[str, Any], loaded: Loaded) -> Options:
    profile = case.get("profile", {})
    assumes_rest = case.get("assumeValidRestReferences") or profile.get("assumeValidRestReferences")
    chosen = replace(
        AS_HL7,
        targets=Severity.ERROR if assumes_rest else None,
        refuse_markup=bool(case.get("security-checks")),
        refuse_markup_in_markdown=bool(case.get("noHtmlInMarkdown")),
        refuse_experimental=bool(case.get("no-experimental-content")),
        allow_examples=case.get("examples") is not False,
        check_contained=case.get("validateContains") != "IGNORE",
        follow_references="validateReference" in case,
        enforce_aggregation=case.get("enforceAggregationOutsideBundles") is not False,
        known_domains=(case["allowed-extension-domain"],) if "allowed-extension-domain" in case else (),
        profiles_of_types=_of_types(loaded),
        profiles_of_entries=_of_entries(case),
    )
    return replace(chosen, unknown_extensions=None) if "supporting5" in case else chosen


def _of_types(loaded: Loaded) -> dict[str, tuple[str, ...]]:
    guides = (each for each in loaded.by_url.values() if each["resourceType"] == "ImplementationGuide")
    return {each["type"]: (each["profile"],) for guide in guides for each in guide.get("global", ())}


def _of_entries(case: Mapping[str, Any]) -> tuple[tuple[str, int, str], ...]:
    if "bundle-param" not in case:
        return ()
    kind, _, number = case["bundle-param"]["rule"].partition(":")
    return ((kind, int(number), case["bundle-param"]["profile"]),)


def _unreadable(problem: Problem, text: bytes) -> Finding:
    """What cannot be read at all is wrong at its root."""
    found = _ROOT.search(text)
    place = next((each.location for each in problem.issues if each.location), None)
    return Finding(Severity.FATAL, "structure", place or (found[1].decode() if found else ""), problem.text)


def is_at_same_place(expected: list[Resource], found: list[Finding]) -> bool:
    """Whether one of our errors stands where one of HL7's does, or at a member of that very element."""
    ours = {each.expression for each in found}
    ours |= {re.sub(r"\.[^.]+(\.ofType\(\w+\))?$", "", each.expression) for each in found}
    ours |= {re.sub(r"\[\d+\]", "", each.expression) for each in found}
    return not ours.isdisjoint(place_of(each) for each in expected)


def place_of(issue: Resource) -> str:
    place: str = issue.get("expression", ["?"])[0]
    place = re.sub(r"/\*.*?\*/|\[url=[^\]]*\]|/f:", "", place).rstrip(".")
    text = issue.get("details", {}).get("text", issue.get("diagnostics", ""))
    return re.sub(r"\[\d+\]", "", place) if text.startswith(_COUNTED_FROM_ONE) else place
