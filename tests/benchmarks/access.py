"""What access, consent and audit cost: the same archive behind `WEFT_AUTH=off` and `smart`, measured in turn.

Patients by the hundred, a tenth of whom have consents: nine in ten of these say what the policy says anyway, some
refuse everything, one withholds what is restricted. A radiologist's token asks for what everybody else permits.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from server.access.roles import RADIOLOGIST
from server.assembly import Services, open_services
from server.audit.who import Who
from server.dicom.patient_number import local_system
from server.kernel.clock import HOUR, micros
from server.kernel.ids import new_token
from server.settings import Settings
from server.smart.digest import digest, new_secret
from server.smart.model import Approval, Client, Token
from server.smart.standing import ACCESS
from tests.benchmarks.cases import ANY_FILE, JSON, OCTETS, Case, Check, is_jpeg, parts, rows
from tests.benchmarks.corpus import Corpus, Shape, Study, files
from tests.benchmarks.fhir import FHIR_JSON
from tests.benchmarks.load import Load, Target
from tests.benchmarks.meter import Meter
from tests.benchmarks.report import Measure, Run, compare
from tests.benchmarks.wire import Answer, Connection
from tests.data.consents import TPO, consent, deny, permit
from tests.e2e.running import Place, Server, running

NEEDED = 0.7
"""Of the rate without sign-in."""
CLIENTS = (1, 16)
_SCOPES = ("user/*.cruds",)
_CODES = ("8867-4", "9279-1")
"""Heart and respiratory rate: both are counted by the minute."""
_PAGE = "/fhir/Observation?patient=Patient/{}&_sort=-date&_count=20"
_CONDITIONAL, _REFUSING = 1, 4
_BATCH = 500
_QUIET = {"manifests": "off", "reports": "off"}
"""What is published writes for minutes after a start, and each commit ends the kept answers of both servers."""
T = TypeVar("T")


@dataclass(frozen=True)
class Site:
    """How much there is; the images of the first studies are full-sized."""

    patients: int = 500
    observations: int = 20
    """Of each patient."""
    studies: int = 4
    slices: int = 25

    @property
    def corpus(self) -> Corpus:
        # Two tiny studies make one patient.
        return Corpus(Shape(self.studies, self.slices, 2 * self.patients - 1), 1)

    @property
    def numbers(self) -> list[str]:
        """Patient IDs; the logical ids are the same."""
        corpus = self.corpus
        return list(dict.fromkeys(study.patient_id for study in (*corpus.ct, *corpus.tiny)))

    @property
    def consenting(self) -> Mapping[str, Any]:
        """Provisions by patient. Those with the images are not among them."""
        last = list(reversed(self.numbers))[: max(_REFUSING + _CONDITIONAL, self.patients // 10)]
        restricted = permit(TPO, nested=[deny(labels=["R"])])
        limited = [deny(TPO)] * _REFUSING + [restricted] * _CONDITIONAL
        return dict(zip(last, [*limited, *[permit(TPO)] * len(last)], strict=False))

    @property
    def open(self) -> list[str]:
        """Those whose data a radiologist sees."""
        refusing = list(self.consenting)[:_REFUSING]
        return [each for each in self.numbers if each not in refusing]


@dataclass
class Round:
    """Two servers over equal archives, asked the same in turn."""

    site: Site
    targets: Mapping[str, tuple[Target, int]]
    seconds: float
    only: str = ""
    runs: dict[str, Run] = field(default_factory=dict)

    def measure(self) -> None:
        for case in cases(self.site):
            if self.only in case.name:
                for label, (target, pid) in self.targets.items():
                    self._one(label, target, pid, case)

    def _one(self, label: str, target: Target, pid: int, case: Case) -> None:
        wrong = case.check(answer := target.get(case.paths[0], case.accept))
        if wrong or answer.status != 200:
            raise SystemExit(f"{label}, {case.name}: HTTP {answer.status} {wrong}")
        target.gets(case.paths, case.accept, case.clients, min(1.0, self.seconds))
        with Meter(pid) as meter:
            load: Load = target.gets(case.paths, case.accept, case.clients, self.seconds)
        if load.wrong:
            raise SystemExit(f"{label}, {case.name}: {load.wrong} answers were refused")
        self.runs.setdefault(label, Run(label, target.base_url)).add(case.name, Measure.of(load, meter.cost))


def access(site: Site, rounds: int, seconds: float, only: str = "", *, may_use_wrk: bool = True) -> list[str]:
    """Lines that set both beside each other, and those that are too dear."""
    with tempfile.TemporaryDirectory(prefix="weft-access-") as name:
        one, other = Place("off", Path(name) / "off"), Place("smart", Path(name) / "smart")
        token = filled(one, site)
        shutil.copytree(one.data, other.data)
        with running(one, **_QUIET) as off, running(other, auth="smart", **_QUIET) as smart:
            bearer = {"Authorization": f"Bearer {token}"}
            targets = {
                "off": (Target(off.url, {}, may_use_wrk), off.pid),
                "smart": (Target(smart.url, bearer, may_use_wrk), smart.pid),
            }
            round_ = Round(site, targets, seconds, only)
            for _ in range(rounds):
                round_.measure()
    return told(round_.runs["off"], round_.runs["smart"])


def told(off: Run, smart: Run) -> list[str]:
    lines = compare(off, smart)
    low = [name for name in off.rows if smart.median(name).rate < NEEDED * off.median(name).rate]
    return [*lines, f"below {NEEDED} of the rate without sign-in: {', '.join(low) or 'nothing'}"]


def cases(site: Site) -> list[Case]:
    patients = site.open
    observations = [f"/fhir/Observation/{each}-{number}" for each in patients[:200] for number in range(5)]
    pages = [_PAGE.format(each) for each in patients[:200]]
    studies = [f"/dicomweb/studies?PatientID={each}" for each in patients[:200]]
    images = ["/dicomweb" + each.instance_path(at) for each in site.corpus.ct for at in range(len(each.instances))]
    asked: list[tuple[str, Sequence[str], str, Check]] = [
        ("read", observations, FHIR_JSON, is_resource),
        ("page, the same", pages[:1], FHIR_JSON, is_resource),
        ("page, of each patient", pages, FHIR_JSON, is_resource),
        ("qido patient id", studies, JSON, rows(1)),
        ("instance", images, ANY_FILE, parts(1)),
        ("frame", [f"{each}/frames/1" for each in images], OCTETS, parts(1)),
        ("rendered", [f"{each}/rendered" for each in images], "image/jpeg", is_jpeg),
    ]
    return [Case(f"{name} c{n}", paths, accept, n, check) for name, paths, accept, check in asked for n in CLIENTS]


def is_resource(answer: Answer) -> str:
    told = json.loads(answer.body or b"{}")
    is_empty = told.get("resourceType") == "Bundle" and not told.get("entry")
    return "nothing was found" if is_empty else ""


def filled(place: Place, site: Site) -> str:
    """Store everything, let the bridge make its resources, and let a radiologist in: the token."""
    with running(place, **_QUIET) as server:
        _load(server, site)
        _store(server, site.corpus)
    return asyncio.run(_admit(place.data))


def _load(server: Server, site: Site) -> None:
    headers = {"Content-Type": FHIR_JSON, "Accept": FHIR_JSON, "Prefer": "return=minimal"}
    connection = Connection(Target(server.url).url)
    for some in _groups(_resources(site), _BATCH):
        entries = [
            {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
            for each in some
        ]
        body = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}).encode()
        answer = connection.request("POST", "/fhir", headers, body, keep=True)
        if answer.status != 200:
            raise SystemExit(f"a bundle was refused with {answer.status}: {(answer.body or b'')[:2000]!r}")
    connection.close()


def _store(server: Server, corpus: Corpus) -> None:
    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=weft', "Accept": JSON}
    connection = Connection(Target(server.url).url)
    for some in _groups(_instances(corpus), 50):
        pieces = [b"--weft\r\nContent-Type: application/dicom\r\n\r\n" + each + b"\r\n" for each in some]
        answer = connection.request("POST", "/dicomweb/studies", headers, b"".join(pieces) + b"--weft--\r\n", keep=True)
        if answer.status != 200:
            raise SystemExit(f"images were refused with {answer.status}: {(answer.body or b'')[:2000]!r}")
    connection.close()


def _instances(corpus: Corpus) -> Iterator[bytes]:
    def of(studies: Sequence[Study], *, is_tiny: bool) -> Iterator[bytes]:
        for study in studies:
            yield from files(study, is_tiny=is_tiny)

    yield from of(corpus.ct, is_tiny=False)
    yield from of(corpus.tiny, is_tiny=True)


def _resources(site: Site) -> Iterator[dict[str, Any]]:
    for each in site.numbers:
        identifier = {"system": local_system(""), "value": each}
        yield {"resourceType": "Patient", "id": each, "identifier": [identifier], "name": [{"text": each}]}
        for number in range(site.observations):
            yield _observation(each, number)
    for patient, provision in site.consenting.items():
        yield consent(provision, f"Patient/{patient}", id=f"consent-{patient}")


def _observation(patient: str, number: int) -> dict[str, Any]:
    category = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}
    return {
        "resourceType": "Observation",
        "id": f"{patient}-{number}",
        "status": "final",
        "category": [{"coding": [category]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": _CODES[number % len(_CODES)]}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": f"2026-01-{1 + number % 28:02}T08:00:00Z",
        "valueQuantity": {"value": 60, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"},
    }


async def _admit(data: Path) -> str:
    services = await open_services(Settings(data=data, auth="off"))
    try:
        await services.bridge.drain()
        return await _token(services)
    finally:
        await services.close()


async def _token(services: Services) -> str:
    """As if a radiologist had just let an app in."""
    smart, at, value = services.smart, micros(services.clock), new_secret()
    await smart.store.save(Client("viewer", "Viewer", "none", _SCOPES, created=at))
    user = await smart.users.create(
        Who(name="benchmark"), "radiologist", "Radiologist", (RADIOLOGIST,), "three boats at noon", must_change=False
    )
    # An hour is the longest a token lives; a full run of several rounds takes less.
    approval = Approval(new_token(16), "viewer", _SCOPES, user=user.id, created=at, expires=at + HOUR)
    token = Token(digest(value), approval.id, ACCESS, _SCOPES, at, at + HOUR)
    await smart.store.commit(smart.store.put(approval, 0), smart.store.put(token, 0))
    return value


def _groups(each: Iterator[T], size: int) -> Iterator[list[T]]:
    while group := list(islice(each, size)):
        yield group
