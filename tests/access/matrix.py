"""Everybody asks everything under every consent: what each answer shows, and what each could read directly."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from server.kernel.context import LOCAL_ACTOR, Actor
from tests.access import asking, asking_documents, asking_images, records
from tests.access.asking import Ask
from tests.access.hospital import Hospital
from tests.access.people import ACTORS, NOBODY
from tests.contract.consent_world import Got

_CONTENT = re.compile(r"SECRET-([a-z]-[a-z]+)", re.IGNORECASE)
_NAMED = re.compile(r"zz([pqr]-[a-z]+|s-(?:group|audit|sub))\b")
_UID = re.compile(r"1\.2\.826\.9\.\d{4}\b")
_STUDY = re.compile(r"study-[0-9a-f]{32}")
_CODES = {value: name for name, value in records.UIDS.items()}
_HIDDEN_IN = {records.encoded(records.BINARY): "p-bin"}
_PIXELS = {value.decode(): name for name, value in records.PIXELS.items()}


@dataclass(frozen=True)
class Shown:
    """What of the world's objects an answer tells."""

    contents: frozenset[str]
    named: frozenset[str]
    """Those of which only an id or UID is there."""


def shown_in(text: str) -> Shown:
    contents = {each.lower() for each in _CONTENT.findall(text)}
    contents |= {name for mark, name in (_HIDDEN_IN | _PIXELS).items() if mark in text}
    named = set(_NAMED.findall(text)) | {_CODES[each] for each in _UID.findall(text) if each in _CODES}
    named |= {
        records.RESOURCES_OF_STUDIES[each] for each in _STUDY.findall(text) if each in records.RESOURCES_OF_STUDIES
    }
    return Shown(frozenset(contents), frozenset(named - contents))


@dataclass(frozen=True)
class Cell:
    status: int
    total: str
    """Numbers an answer tells: `total` of a Bundle and its entries, rows of a query and their counts."""
    shown: Shown


DIRECT: dict[str, str] = {
    **{
        f"{each['id'][2:]}": f"/fhir/{each['resourceType']}/{each['id']}"
        for each in (*records.of_p(), *records.of_others(), *records.consents().values())
    },
    "p-turned": "/fhir/Observation/zzp-turned",
    "p-before": "/fhir/Observation/zzp-turned/_history/1",
    "p-gone": "/fhir/Observation/zzp-gone/_history/1",
    **{name: f"/fhir/ImagingStudy/{id_}" for id_, name in records.RESOURCES_OF_STUDIES.items()},
    **{
        instance: f"/dicomweb/studies/{records.UIDS[study]}/series/{records.UIDS[series]}"
        f"/instances/{records.UIDS[instance]}/metadata"
        for study, series, instance in (
            ("d-part", "e-open", "i-open"), ("d-part", "e-psy", "i-psy"), ("d-plain", "e-plain", "i-plain"),
            ("d-q", "e-q", "i-q"), ("d-spare", "e-spare", "i-spare"), ("d-spare", "e-other", "i-other"),
        )
    },
}  # fmt: skip
"""Where each object is read, and by nothing else it is known who may."""
PARTS = {
    "e-open": ("i-open",), "e-psy": ("i-psy",), "e-plain": ("i-plain",), "e-q": ("i-q",),
    "e-spare": ("i-spare",), "e-other": ("i-other",),
    "d-part": ("i-open", "i-psy"), "d-plain": ("i-plain",), "d-q": ("i-q",), "d-spare": ("i-spare", "i-other"),
    "p-name": ("i-open", "i-psy", "i-plain", "i-spare", "i-other"), "q-name": ("i-q",),
    "p-within": ("p-bundle",),
}  # fmt: skip
"""Series, studies and patients of images are there with any instance of theirs."""


class Matrix:
    """Of one hospital: `direct` by consent and actor, `cells` by request, actor and consent."""

    def __init__(self, hospital: Hospital) -> None:
        self._hospital = hospital
        services = hospital.services
        rest, web = services.fhir_rest().endpoints(), services.dicomweb().endpoints()
        self.rows = {(f"fhir {each.name}", each.method) for each in rest}
        self.rows |= {(f"dicomweb {each.name}", each.method) for each in web}
        for surface in (services.messaging.xds(), services.messaging.xca()):
            self.rows |= {(f"{surface.name} {each.name}", each.method) for each in surface.endpoints()}
        self.asks = (
            *asking.reads(), *asking.searches(), *asking.operations(rest), *asking.EXPORTS,
            *asking_documents.operations(), *asking_documents.documents(hospital),
            *asking.foreign_jobs(self._job_of(LOCAL_ACTOR)), *asking_images.imaging(web), *asking.public(),
            *asking.writes(), *asking_documents.writes(hospital), *asking_images.imaging_writes(),
        )  # fmt: skip
        self.direct: dict[tuple[str, str], frozenset[str]] = {}
        self.cells: dict[Ask, dict[tuple[str, str], Cell]] = {}

    def run(self) -> None:
        """All that reads before all that writes, so that histories stay as short as they were."""
        for writes in (False, True):
            for name, consent in records.consents().items():
                self._hospital.put(consent)
                for actor in ACTORS:
                    if not writes:
                        self.direct[name, actor.id] = self.readable(actor)
                    for ask in self.asks if actor is not NOBODY or name == "none" else ():
                        if ask.writes == writes and (name == "none" or not ask.is_of_nobody):
                            self.cells.setdefault(ask, {})[name, actor.id] = self.asked(ask, actor)

    def readable(self, actor: Actor) -> frozenset[str]:
        found = set()
        for name, path in DIRECT.items():
            got = self._hospital.answer(actor, "GET", path, accept="application/json")
            if got.status == 200:
                found.add(name)
        return frozenset(found | {name for name, parts in PARTS.items() if not found.isdisjoint(parts)})

    def _job_of(self, actor: Actor) -> str:
        got = self._hospital.answer(actor, "GET", "/fhir/$export?_type=Observation", **asking.LATER)
        self._hospital.exported()
        return got.headers["content-location"].rpartition("/")[2]

    def _exported(self, got: Got, actor: Actor) -> Iterator[Got]:
        """What comes of an export that was accepted."""
        self._hospital.exported()
        yield (told := self._hospital.answer(actor, "GET", urlsplit(got.headers["content-location"]).path))
        for each in told.json["output"] if told.status == 200 else ():
            yield self._hospital.answer(actor, "GET", urlsplit(each["url"]).path)

    def asked(self, ask: Ask, actor: Actor) -> Cell:
        if ask in asking.EXPORTS:
            got = self._hospital.answer(actor, ask.method, ask.path, ask.body, **asking.LATER)
            texts = [_text(got), *map(_text, self._exported(got, actor) if got.status == 202 else ())]
            return Cell(got.status, f"{len(texts)} answers", shown_in("\n".join(texts)))
        got = self._hospital.answer(actor, ask.method, ask.path, ask.body, **ask.headers)
        texts = [_text(got)]
        followed = got
        while ask.method == "GET" and (following := _next(followed)):
            followed = self._hospital.answer(actor, "GET", following)
            texts.append(_text(followed))
        if ask.method != "GET" and got.status < 300:
            self._put_back(ask, got)
        text = "\n".join(texts)
        return Cell(got.status, _total(got, len(texts)), shown_in(_without_links(text)))

    def _put_back(self, ask: Ask, got: Got) -> None:
        """As if nothing had been asked."""
        hospital = self._hospital
        if ask.path.startswith("/dicomweb"):
            if ask.row.startswith("delete"):
                hospital.store(*records.spare_images())
            elif ask.row == "stow.studies":
                hospital.answer(LOCAL_ACTOR, "DELETE", f"/dicomweb/studies/{records.UIDS['d-new']}")
            return
        for each in _created(got):
            hospital.answer(LOCAL_ACTOR, "DELETE", f"/fhir/{each}")
        if ask.writes and ask.row != "create":
            hospital.put(*_ORIGINALS)


_ORIGINALS = [
    records.observation("p", "vital", "N"),
    records.observation("p", "lab", "N"),
    records.observation("p", "psy", "R", "PSY", date="2024-02-01"),
    records.observation("p", "very", "V", date="2024-01-01"),
    records.observation("q", "psy", "R", "PSY"),
    records.TURNED[1],
]


def _text(got: Got) -> str:
    headers = "\n".join(f"{name}: {value}" for name, value in got.headers.items())
    return f"{headers}\n{got.body.decode('latin-1')}"


def _without_links(text: str) -> str:
    """Links of a page say again what was asked."""
    return re.sub(r'"link":\s*\[[^]]*\]', "", text)


def _next(got: Got) -> str:
    if got.status != 200 or b'"next"' not in got.body:
        return ""
    links = {each["relation"]: each["url"] for each in got.json.get("link", ())}
    parts = urlsplit(links.get("next", ""))
    return f"{parts.path}?{parts.query}" if parts.path else ""


def _created(got: Got) -> Iterable[str]:
    found = [got.headers["location"]] if got.status == 201 and "location" in got.headers else []
    if got.status == 200 and b'"Bundle"' in got.body:
        for each in got.json.get("entry", ()):
            if each.get("response", {}).get("status", "").startswith("201"):
                found.append(each["response"]["location"])
    return [each.partition("/_history")[0].rpartition("/fhir/")[2] for each in found]


_HELD = re.compile(rb"<(?:\w+:)?(ExtrinsicObject|RegistryPackage|DocumentResponse)\b")


def _soap_total(got: Got) -> str:
    """How it ended, and how much there is of what it tells."""
    status = re.search(rb"ResponseStatusType:(\w+)", got.body)
    codes = sorted(set(re.findall(rb'errorCode="(\w+)"', got.body)))
    counts = Counter(each.decode() for each in _HELD.findall(got.body))
    told = (f"{count} {name}" for name, count in counts.items())
    return ", ".join([status[1].decode() if status else "fault", *(each.decode() for each in codes), *told])


_COUNTS = {"00201206": "series", "00201208": "instances", "00201209": "instances"}


def _total(got: Got, pages: int) -> str:
    if b"Envelope" in got.body[:2000]:
        return _soap_total(got)
    if got.status != 200 or "json" not in got.headers.get("content-type", ""):
        return ""
    value = json.loads(got.body)
    if isinstance(value, list):
        counts = [
            f"{row[tag]['Value'][0]} {kind}"
            for row in value
            for tag, kind in _COUNTS.items()
            if "Value" in row.get(tag, {})
        ]
        return f"{len(value)} rows" + (f" ({', '.join(counts)})" if counts else "")
    if value.get("resourceType") != "Bundle":
        return ""
    total = f"total {value['total']}" if "total" in value else ""
    return ", ".join(
        filter(None, (total, f"{len(value.get('entry', ()))} entries", f"{pages} pages" if pages > 1 else ""))
    )
