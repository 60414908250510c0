"""The whole server over one store as the assembly puts it together, asked in the name of anybody.

Only three things differ from what runs: the door lets in whoever the test says, the clock is the test's, and the store
counts how often it is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from server.assembly import Services, _over
from server.authorization import open_authorization
from server.bridge.imaging_study import resource_id
from server.dicomweb import problems as dicomweb_problems
from server.fhir.series_labels import label_puts
from server.fhir_rest import problems as fhir_problems
from server.groundwork import Groundwork
from server.http.application import SurfaceApplication
from server.http.cors import Cors
from server.http.surface import Call, Endpoint
from server.kernel.context import LOCAL_ACTOR, Actor, Context
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from server.mpi.institutions import Institution
from server.settings import Settings
from server.smart.recording import Unrecorded
from storage.open import open_stores
from tests.access import records
from tests.access.people import NOBODY, purpose_of
from tests.contract.consent_world import HOST, ChosenDoor, Got, Server, World
from tests.contract.imaging_samples import STOW, stow_body
from tests.data.consents import label

Json = dict[str, Any]
STUDIES = {uid: name for name, uid in records.UIDS.items() if name in records.STUDIES}
_INLINE = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"


class HeldClock:
    """Goes on by a millisecond each time it is asked."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        self.moment += timedelta(milliseconds=1)
        return self.moment


class Counted:
    """Records that count the questions put to them."""

    def __init__(self, records: Any) -> None:
        self._records = records
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._records, name)
        if name in ("get", "find", "count", "values", "commit"):
            self.asked.append(name)
        return found


class TokenDoor(ChosenDoor):
    """Lets in whoever the test says, but nobody without a token."""

    async def enter(self, call: Call, endpoint: Endpoint, request_id: str) -> Context:
        if self.actor is NOBODY and endpoint.interaction != "capabilities":
            raise Problem(Kind.UNAUTHENTICATED, "An access token is needed.", headers={"WWW-Authenticate": "Bearer"})
        return await super().enter(call, endpoint, request_id)


class Hospital(World):
    services: Services
    clock: HeldClock
    counted: Counted

    def answer(self, actor: Actor, method: str, path: str, body: Any = None, **headers: str) -> Got:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask(actor, method, path, body, purpose=purpose_of(actor), headers=named)

    def work(self, actor: Actor, method: str, path: str) -> int:
        """How often the store was asked for one answer."""
        self.counted.asked.clear()
        self.answer(actor, method, path)
        return len(self.counted.asked)

    def store(self, *files: bytes) -> None:
        got = self.answer(LOCAL_ACTOR, "POST", "/dicomweb/studies", stow_body(*files), content_type=STOW)
        assert got.status == 200, got.body
        self.runner.run(self.services.bridge.drain())

    def exported(self) -> None:
        """The export asked for last is made."""
        self.clock.moment += timedelta(seconds=3)
        assert self.runner.run(self.services.exports.step())

    def fill(self, without: frozenset[str] = frozenset()) -> None:
        """`without` some objects, and without every reference to them."""
        here = Institution("H-1", "Here")
        self.runner.run(self.services.documents.institutions.add(Context(LOCAL_ACTOR, "test"), here))
        self.put(*records.public(), records.patient("p"), records.patient("q"), records.patient("r"))
        self.store(*records.images(without))
        self.publish()
        kept = [each for each in (*records.of_p(), *records.of_others()) if each["id"][2:] not in without]
        self.put(*(records.forgetting(each, without) for each in kept))
        for each in (*records.TURNED[int("p-before" in without) :], records.GONE):
            self.put(each)
        assert self.answer(LOCAL_ACTOR, "DELETE", "/fhir/Observation/zzp-gone").status == 204
        if "e-psy" not in without:
            self.label_series("d-part", "e-psy", "R", "PSY")
        else:
            self.keep_part("d-part", "e-psy", "R", "PSY")
        self.publish()

    def publish(self) -> None:
        """The master index and the manifests of all studies are as the records are."""
        documents = self.services.documents
        self.runner.run(documents.master.settle())
        self.runner.run(documents.manifests().drain())

    def patient_id(self, patient: str) -> str:
        """As document entries have it."""
        system = f"urn:oid:{self.services.documents.community.patient_authority}"
        numbers = self.answer(LOCAL_ACTOR, "GET", f"/fhir/Patient/zz{patient}-self").json["identifier"]
        (found,) = (each["value"] for each in numbers if each.get("system") == system)
        return f"{found}^^^&{system.removeprefix('urn:oid:')}&ISO"

    def manifests(self) -> dict[str, str]:
        """uniqueIds of those in force, by the study they are about."""
        found = self.answer(LOCAL_ACTOR, "GET", "/fhir/DocumentReference?status=current&_count=100").json["entry"]
        named: dict[str, str] = {}
        for each in (entry["resource"] for entry in found):
            for related in each.get("context", {}).get("related", ()):
                uid = related.get("identifier", {}).get("value", "").removeprefix("urn:oid:")
                if uid in STUDIES:
                    named[STUDIES[uid]] = each["masterIdentifier"]["value"].removeprefix("urn:oid:")
        return named

    def keep_part(self, study: str, series: str, *codes: str) -> None:
        """A labelled series without the series: who sees a study in part sees no manifest of it, and knows by that."""
        path = f"/fhir/ImagingStudy/{resource_id(records.UIDS[study])}"
        marks = [{"url": _INLINE, "valueCoding": label(each)} for each in codes]
        part = {"series": [{"uid": records.UIDS[series], "extension": marks}]}
        resource = self.answer(LOCAL_ACTOR, "GET", path).json | part
        puts = label_puts(resource, self.services.fhir.repository.writing.keys)
        self.runner.run(self.services.stores.records.commit(puts))

    def label_series(self, study: str, series: str, *codes: str) -> None:
        path = f"/fhir/ImagingStudy/{resource_id(records.UIDS[study])}"
        found = self.answer(LOCAL_ACTOR, "GET", path).json
        marks = [{"url": _INLINE, "valueCoding": label(each)} for each in codes]
        for each in found["series"]:
            if each["uid"] == records.UIDS[series]:
                each.pop("extension", None)
                each |= {"extension": marks} if marks else {}
        assert self.answer(LOCAL_ACTOR, "PUT", path, found).status == 200


@contextmanager
def opened_hospital(folder: Path) -> Iterator[Hospital]:
    settings = Settings(data=folder, auth="off", encryption="off", base_url=f"http://{HOST}", institution="H-1")
    with asyncio.Runner() as runner:
        hospital = Hospital(runner, settings)
        hospital.clock = HeldClock()
        runner.run(_open(hospital))
        try:
            yield hospital
        finally:
            hospital.close()


async def _open(hospital: Hospital) -> None:
    settings, offload, clock = hospital.settings, Offload(io_threads=2, cpu_threads=2), hospital.clock
    stores = await open_stores(
        settings.records_url,
        settings.blobs_url,
        encryption=settings.encryption,
        key_file=settings.key_file,
        threads=offload,
    )
    hospital.counted = Counted(stores.records)
    stores = replace(stores, records=hospital.counted)
    smart = await open_authorization(settings, stores.records, Unrecorded(), clock, offload)
    services = hospital.services = await _over(Groundwork(settings, offload, clock, stores, None, smart))
    door = TokenDoor()
    common: dict[str, Any] = {"door": door, "cors": Cors.parse(""), "offload": offload, "base_url": settings.base_url}
    rest, web, oauth = services.fhir_rest(), services.dicomweb(), services.oauth()
    xds, xca = services.messaging.xds(), services.messaging.xca()
    hospital.servers[()] = Server(
        services,
        door,
        {
            "fhir": SurfaceApplication(
                prefix="/fhir", endpoints=(), router=rest.router(), problem=fhir_problems.render, **common
            ),
            "dicomweb": SurfaceApplication(
                prefix="/dicomweb", endpoints=web.endpoints(), problem=dicomweb_problems.render, **common
            ),
            "xds": SurfaceApplication(prefix="/xds", endpoints=xds.endpoints(), problem=xds.problem, **common),
            "xca": SurfaceApplication(prefix="/xca", endpoints=xca.endpoints(), problem=xca.problem, **common),
            "oauth": SurfaceApplication(prefix="/oauth", endpoints=oauth.endpoints(), problem=oauth.problem, **common),
        },
    )
