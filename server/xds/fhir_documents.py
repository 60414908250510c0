"""A FHIR document (R4 documents.html) read for its metadata: a Bundle whose first entry is its Composition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from server.fhir.json_form import Resource
from server.fhir.redaction import INLINE_LABEL
from server.fhir.taken_out import elements
from server.xds.fhir_codes import code_of_concept, codes_of_concepts, label_of, level
from server.xds.fhir_identifiers import URI, cx_of, dtm_of, reference_id_of
from server.xds.fhir_people_reading import authors_of, patient_info, person_of
from server.xds.metadata import Code, DocumentEntry, Localized
from server.xds.mhd_reading import Provided
from server.xds.self_told import SelfTold, labels, unique_id, unstructured
from server.xds.vocabulary import ENCOUNTER


def read(bundle: Resource, mime_type: str) -> SelfTold:
    """Of a valid Bundle."""
    entries = bundle.get("entry", ())
    composition = entries[0].get("resource", {}) if entries else {}
    if bundle.get("type") != "document" or composition.get("resourceType") != "Composition":
        raise unstructured("The Bundle is no FHIR document: its type is document, its first entry the Composition.")
    return _Document(bundle, composition, str(entries[0].get("fullUrl", "")), mime_type).told()


@dataclass(slots=True)
class _Document:
    bundle: Resource
    composition: Resource
    url: str
    mime_type: str
    base: str = ""
    """Of relative references (R4 bundle.html#references); empty where they have none."""
    named: dict[str, Resource] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.base = self.url.rpartition("/Composition/")[0]
        for each in self.bundle["entry"]:
            if "fullUrl" in each and "resource" in each:
                self.named.setdefault(each["fullUrl"], each["resource"])

    def told(self) -> SelfTold:
        about = self.composition.get("subject") or {}
        patient = self._followed(about) or {}
        is_patient = patient.get("resourceType", about.get("type", "Patient")) == "Patient"
        numbers = [*patient.get("identifier", ()), *([about["identifier"]] if "identifier" in about else [])]
        address = self._address(str(about.get("reference", "")))
        if not is_patient:
            raise unstructured("The subject of the Composition is no Patient.")
        return SelfTold(self._entry(patient), tuple(numbers), address)

    def _entry(self, patient: Resource) -> DocumentEntry:
        composition = self.composition
        starts, ends = self._times("start"), self._times("end")
        return DocumentEntry(
            id="",
            patient_id="",
            unique_id=self._unique_id(),
            mime_type=self.mime_type,
            type_code=code_of_concept(composition.get("type")),
            class_code=next(iter(codes_of_concepts(composition.get("category", ()))), None),
            format_code=self._format(),
            confidentiality_codes=labels(self._labels()),
            event_codes=codes_of_concepts([code for each in self._events() for code in each.get("code", ())]),
            authors=authors_of(composition.get("author", ()), self._find),
            legal_authenticator=self._legal_authenticator(),
            creation_time=dtm_of(composition.get("date")),
            service_start_time=min(starts, default=""),
            service_stop_time=max(ends, default=""),
            language_code=str(composition.get("language") or self.bundle.get("language", "")),
            source_patient_id=next((cx for each in patient.get("identifier", ()) if (cx := cx_of(each))), ""),
            source_patient_info=patient_info(patient),
            reference_ids=tuple(self._encounters()),
            title=(Localized(title),) if (title := str(composition.get("title", ""))) else (),
        )

    def _unique_id(self) -> str:
        identifier = self.composition.get("identifier") or {}
        if identifier.get("value"):
            return unique_id(identifier)
        return unique_id({"system": URI, "value": self.url} if self.url else self.bundle["identifier"])

    def _format(self) -> Code | None:
        profiles = self.bundle.get("meta", {}).get("profile", ())
        return Code(str(profiles[0]).partition("|")[0], URI) if profiles else None

    def _labels(self) -> Iterator[Code | None]:
        """Of everything in it, however deep: a whole resource or, inline, a single element."""
        for each in elements(self.bundle):
            if each.get("resourceType") == "Composition" and "confidentiality" in each:
                yield level(str(each["confidentiality"]))
            if "resourceType" in each:
                yield from map(label_of, each.get("meta", {}).get("security", ()))
            if each.get("url") == INLINE_LABEL and "valueCoding" in each:
                yield label_of(each["valueCoding"])

    def _events(self) -> list[Mapping[str, Any]]:
        return list(self.composition.get("event", ()))

    def _times(self, end: str) -> list[str]:
        found = (dtm_of(each.get("period", {}).get(end)) for each in self._events())
        return [each for each in found if each]

    def _legal_authenticator(self) -> str:
        legal = [each for each in self.composition.get("attester", ()) if each.get("mode") == "legal"]
        return person_of(legal[0].get("party"), self._find) if legal else ""

    def _encounters(self) -> Iterator[str]:
        encounter = self._followed(self.composition.get("encounter") or {}) or {}
        for each in encounter.get("identifier", ()):
            if text := reference_id_of(each, ENCOUNTER):
                yield text

    def _followed(self, reference: Mapping[str, Any]) -> Resource | None:
        return Provided(self.composition, self._find).followed(reference)

    def _find(self, reference: str) -> Resource | None:
        return Provided(self.composition, lambda name: self.named.get(self._address(name))).find(reference)

    def _address(self, reference: str) -> str:
        """Absolute; empty for what is relative to nothing."""
        name = reference.partition("/_history/")[0]
        if name.startswith("urn:") or "://" in name:
            return name
        return f"{self.base}/{name}" if name and self.base and name[0] != "#" else ""
