"""Runs the steps of test plans against a node: fills in their templates, sends them, compares what comes back."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

from lxml import etree

from server.xds import vocabulary as v
from tests.data.soap_messages import Answered
from tests.xds_corpus.node import Node
from tests.xds_corpus.plans import Step, Use

_REGISTER = "urn:ihe:iti:2007:RegisterDocumentSet-b"
_QUERY = "urn:ihe:iti:2007:RegistryStoredQuery"
_MANY = "urn:ihe:iti:2009:MultiPatientStoredQuery"
_RETRIEVE = "urn:ihe:iti:2007:RetrieveDocumentSet"
_PATIENTS = {v.DOCUMENT_PATIENT, v.SUBMISSION_PATIENT, v.FOLDER_PATIENT}
_UNIQUE = {v.DOCUMENT_UNIQUE, v.SUBMISSION_UNIQUE, v.FOLDER_UNIQUE}
_CX = re.compile(rb'(?<=value=")([A-Za-z0-9.-]+)\^\^\^&amp;[0-9.]+&amp;ISO(?=")')
_NUMBERED = {"$patient_id1$": "P15819", "$patient_id2$": "P15820"}
_YEAR = timedelta(days=365)

Key: TypeAlias = tuple[str, str, str, str]
"""Section, step, kind, name."""

_SHARED = {"12346": "15818", "11990": "15817"}


@dataclass
class Runner:
    node: Node
    values: dict[Key, str] = field(default_factory=dict)
    answers: dict[tuple[str, str], Answered] = field(default_factory=dict)

    async def run(self, step: Step) -> list[str]:
        """What is other than the plan expects."""
        if step.kind == "NullTransaction":
            return self._asserted(step)
        if step.kind == "PatientIdentityFeedTransaction":
            await self.node.admit(self._patient(step))
            return []
        self.node.clock.moment += timedelta(seconds=2)
        answer = await self._sent(step)
        place, _, name = step.name.rpartition(":")
        self.answers[place, name] = answer
        self._report(step, "Result", answer.body)
        return [*_status_faults(step, answer), *_content_faults(step, answer)]

    async def _sent(self, step: Step) -> Answered:
        match step.kind:
            case "RegisterTransaction":
                return await self.node.send("/xds/registry", _REGISTER, etree.tostring(await self._metadata(step)))
            case "ProvideAndRegisterTransaction":
                metadata = etree.tostring(await self._metadata(step))
                named = ((self._assigned(step, name), path) for name, path in step.documents)
                documents = {name: path.read_bytes() for name, path in named}
                return await self.node.provide(metadata, documents, is_inline=len(step.name) % 2 == 0)
            case "StoredQueryTransaction":
                return await self.node.send("/xds/registry", _QUERY, await self._filled(step))
            case "MPQTransaction":
                return await self.node.send("/xds/registry", _MANY, await self._filled(step))
            case "RetrieveTransaction":
                return await self.node.send("/xds/repository", _RETRIEVE, await self._filled(step))
            case _:
                return await self._raw(step)

    async def _raw(self, step: Step) -> Answered:
        """A message as it was on the wire, but for its patient, who is made one of our domain."""
        headers = next(step.element.iter("Headers")).text or ""
        content = (step.folder / next(step.element.iter("BodyFile")).text).read_bytes()  # type: ignore[operator]
        numbers = {found[0]: await self.node.admit(found[1].decode()) for found in _CX.finditer(content)}
        for sent, known in numbers.items():
            content = content.replace(sent, known.replace("&", "&amp;").encode())
        return await self.node.post("/xds/repository", content, headers.partition(":")[2].strip())

    async def _filled(self, step: Step) -> bytes:
        """With the values of earlier steps for its symbols."""
        text = _message(step).read_text(encoding="utf-8")
        for symbol, value in (await self._used(step)).items():
            text = text.replace(symbol, _escaped(value))
        now = self.node.clock.moment
        for symbol, moment in {"$now$": now, "$lastyear$": now - _YEAR}.items():
            text = text.replace(symbol, moment.strftime("%Y%m%d%H%M%S"))
        for symbol, number in _NUMBERED.items():
            text = text.replace(symbol, _escaped(await self.node.admit(number)))
        text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text)
        return re.sub(r"\$patient_?id\$", _escaped(await self.node.admit(self._patient(step))), text).encode()

    async def _used(self, step: Step) -> dict[str, str]:
        found = {}
        for use in step.uses:
            symbol = use.symbol if use.symbol.endswith("$") or not use.symbol.startswith("$") else f"{use.symbol}$"
            if use.name == "$patientid$":
                found[symbol] = await self.node.admit(f"P{use.test}")
            else:
                found[symbol] = self._value(step, use)
        return found

    def _value(self, step: Step, use: Use) -> str:
        place = posixpath.normpath(posixpath.join(step.place, use.section))
        if (value := self.values.get((place, use.step, use.kind, use.name))) is not None:
            return value
        test = posixpath.basename(posixpath.normpath(posixpath.join(step.place, use.section, "..")))
        for (known, name, kind, reported), value in self.values.items():
            section = use.section.rpartition("/")[2]
            same = known.endswith(f"/{section}") and (known.split("/")[-2] == test or section in known)
            if same and (name, kind, reported) == (use.step, use.kind, use.name):
                return value
        return f"missing {use.name} of {use.step}"

    def _patient(self, step: Step) -> str:
        """Of the test a step belongs to: the same for all its sections."""
        parts = step.place.removeprefix("toolkit/").split("/")
        if parts[:2] == ["load", "12346"] and len(parts) == 2:
            return "P12346-whole"
        return f"P{_SHARED.get(parts[1], parts[1])}"

    async def _metadata(self, step: Step) -> etree._Element:
        root = etree.fromstring(await self._filled(step))
        objects = [each for each in root.iter() if each.get("id") and etree.QName(each).localname in _OBJECTS]
        if not step.has("NoPatientId"):
            await self._assign_patient(step, root)
        else:
            await self._admit_patients(root)
        if not step.has("NoAssignUids"):
            self._assign_unique_ids(step, root)
        else:
            self._assign_unique_ids(step, root, {v.SUBMISSION_UNIQUE})
        if step.has("AssignUuids"):
            self._assign_uuids(step, root, objects)
        self._report(step, "InputMetadata", root)
        return root

    async def _assign_patient(self, step: Step, root: etree._Element) -> None:
        known = {use.test for use in step.uses if use.name == "$patientid$"}
        number = f"P{known.pop()}" if known else self._patient(step)
        patient = f"{number}-unknown^^^&{_OTHER}&ISO" if step.has("AltPatientId") else await self.node.admit(number)
        for each in root.iter(_IDENTIFIER):
            if each.get("identificationScheme") in _PATIENTS:
                each.set("value", patient)
                self._keep(step, "AssignedPatientId", each.get("registryObject", ""), patient)

    async def _admit_patients(self, root: etree._Element) -> None:
        """Those a plan names itself belong to domains of its own; here they are of ours."""
        for each in root.iter(_IDENTIFIER):
            number, mark, _ = each.get("value", "").partition("^^^&")
            if mark and each.get("identificationScheme") in _PATIENTS:
                each.set("value", await self.node.admit(number))

    def _assign_unique_ids(self, step: Step, root: etree._Element, schemes: Iterable[str] = _UNIQUE) -> None:
        for each in root.iter(_IDENTIFIER):
            scheme = each.get("identificationScheme", "")
            if scheme in schemes:
                each.set("value", self.node.new_oid())
                self._keep(step, "AssignedUids", each.get("registryObject", ""), each.get("value", ""))
                self._keep(step, "", f"{each.get('registryObject')}_uid", each.get("value", ""))
            if scheme == v.SUBMISSION_SOURCE:
                each.set("value", _SOURCE)

    def _assign_uuids(self, step: Step, root: etree._Element, objects: Iterable[etree._Element]) -> None:
        names = {each.get("id", ""): f"urn:uuid:{uuid4()}" for each in objects}
        names = {name: made for name, made in names.items() if not name.startswith("urn:uuid:")}
        for each in root.iter():
            for attribute in ("id", "classifiedObject", "registryObject", "sourceObject", "targetObject"):
                if (name := each.get(attribute)) in names:
                    each.set(attribute, names[name])
        for name, made in names.items():
            self._keep(step, "AssignedUuids", name, made)

    def _assigned(self, step: Step, name: str) -> str:
        """The UUID that was put in place of a symbolic id."""
        return self.values.get((step.place, step.name.rpartition(":")[2], "AssignedUuids", name), name)

    def _keep(self, step: Step, kind: str, name: str, value: str) -> None:
        self.values[step.place, step.name.rpartition(":")[2], kind, name] = value

    def _report(self, step: Step, section: str, found: etree._Element) -> None:
        holder = etree.Element("answer")
        holder.append(etree.fromstring(etree.tostring(found)))
        for name, where, expression in step.reports:
            if where == section:
                values = holder.xpath(expression)
                value = values[0] if isinstance(values, list) and values else ""
                self._keep(step, "", name, str(value.text if isinstance(value, etree._Element) else value))

    def _asserted(self, step: Step) -> list[str]:
        """Of what an earlier step of the same section was answered, or of the values its uses name."""
        used = {use.symbol: self._value(step, use) for use in step.uses}
        earlier = [answer for (place, _), answer in self.answers.items() if place == step.place]
        holder = etree.Element("answer")
        if earlier:
            holder.append(etree.fromstring(etree.tostring(earlier[-1].body)))
        wrong = []
        for expression in step.asserted:
            today = self.node.clock.moment.strftime("%Y%m%d")
            filled = expression.replace("$DATE$", today)
            for symbol, value in used.items():
                filled = filled.replace(symbol, value)
            if not holder.xpath(f"boolean({_comparable(filled)})"):
                wrong.append(f"not so: {filled}")
        return wrong


_OBJECTS = {"ExtrinsicObject", "RegistryPackage", "Association"}
_IDENTIFIER = f"{{{v.RIM}}}ExternalIdentifier"
_SOURCE = "1.3.6.1.4.1.21367.2009.1.2.1"
_OTHER = "1.3.6.1.4.1.21367.2005.3.7"


def _comparable(expression: str) -> str:
    """XPath orders numbers only; the plans order times as texts."""
    return re.sub(r"'(\d{8,14})'\s*<\s*'(\d{8,14})'", r"\1 < \2", expression)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;")


def _message(step: Step) -> Path:
    path = step.folder / step.message
    converted = path.with_suffix(".v3.xml")
    return converted if converted.exists() else path


def _status_faults(step: Step, answer: Answered) -> list[str]:
    wrong = []
    if answer.http != 200:
        return [f"HTTP {answer.http}"]
    if step.status and answer.status != step.status:
        told = [str(each.get("codeContext")) for each in answer.body.iter("{*}RegistryError")]
        wrong.append(f"{answer.status} instead of {step.status}: {answer.errors[:3]} {told[:3]}")
    if step.errors and not any(each in answer.errors for each in re.split(r"[ ,|]+", step.errors)):
        wrong.append(f"{answer.errors[:3]} instead of {step.errors}")
    return wrong


@dataclass(frozen=True)
class Counts:
    """What an answer holds."""

    sets: int
    documents: int
    folders: int
    associations: int
    references: int
    statuses: tuple[str, ...]
    """Of the documents."""
    set_statuses: tuple[str, ...]


def counts(answer: Answered) -> Counts:
    packages = list(answer.body.iter("{*}RegistryPackage"))
    sets = [each for each in packages if _is(each, v.SUBMISSION_SET)]
    documents = list(answer.body.iter("{*}ExtrinsicObject"))
    return Counts(
        sets=len(sets),
        documents=len(documents),
        folders=sum(_is(each, v.FOLDER) for each in packages),
        associations=sum(1 for _ in answer.body.iter("{*}Association")),
        references=sum(1 for _ in answer.body.iter("{*}ObjectRef")),
        statuses=tuple(str(each.get("status")).rpartition(":")[2] for each in documents),
        set_statuses=tuple(str(each.get("status")).rpartition(":")[2] for each in sets),
    )


def _is(package: etree._Element, node: str) -> bool:
    return any(each.get("classificationNode") == node for each in package.iter("{*}Classification"))


_PATTERNS: Mapping[str, Callable[[Counts], bool]] = {
    "None": lambda found: (found.sets, found.documents, found.folders, found.associations) == (0, 0, 0, 0),
    "SSwithOneDoc": lambda found: (found.sets, found.documents, found.associations) == (1, 1, 1),
    "SSwithTwoDoc": lambda found: (found.sets, found.documents) == (1, 2) and found.associations >= 2,
    "SSwithOneFol": lambda found: (found.sets, found.folders, found.associations) == (1, 1, 1),
    "SSwithOneDocOneFol": lambda found: (found.sets, found.documents, found.folders) == (1, 1, 1),
    "SSwithTwoDocOneFolOneDocInFol": lambda found: (found.sets, found.documents, found.folders) == (1, 2, 1),
    "DocApp": lambda found: set(found.statuses) == {"Approved"},
    "DocDep": lambda found: set(found.statuses) == {"Deprecated"},
    "OneDocDep": lambda found: found.statuses.count("Deprecated") == 1,
    "OneDocApp": lambda found: found.statuses.count("Approved") == 1,
    "SSApproved": lambda found: set(found.set_statuses) == {"Approved"},
}
_COUNTED = {
    "SubmissionSets": "sets",
    "Documents": "documents",
    "Folders": "folders",
    "Associations": "associations",
    "ObjectRefs": "references",
}


def _content_faults(step: Step, answer: Answered) -> list[str]:
    found = counts(answer)
    wrong = []
    for each in step.contents:
        name, counted, number = each.partition("=")
        if counted and getattr(found, _COUNTED[name]) != int(number):
            wrong.append(f"{getattr(found, _COUNTED[name])} {name} instead of {number}")
        if not counted and not _PATTERNS[name](found):
            wrong.append(f"not {name}: {found}")
    return wrong
