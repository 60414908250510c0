"""Whatever somebody is granted and a patient says: lists, counts and pages show what direct reads show, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.access.roles import NURSE, PATIENT, PROXY, RADIOLOGIST, REFERRING, RESEARCHER, SYSTEM, TECHNOLOGIST
from server.kernel.context import INTERACTIONS, LOCAL_ACTOR, Actor, Grant
from tests.access.hospital import Hospital, opened_hospital
from tests.access.records import Json
from tests.data.consents import TPO, consent, deny, permit

OBSERVATIONS = ("p-vital", "p-lab", "p-psy", "p-very", "p-turned", "q-vital", "q-psy", "r-vital")
QUERIES = (
    "", "code=psy", "_security=PSY", "subject=Patient/zzp-self", "date=lt2024-02-15", "_content=SECRET",
    "category=vital-signs", "performer=Practitioner/zzs-nurse", "_sort=-value-string", "subject.name=SECRET",
    "_has:Provenance:target:recorded=gt2000", "_list=zzp-list", "_sort=date&_revinclude=*&_include=*",
)  # fmt: skip
few = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

terms = st.fixed_dictionaries(
    {},
    optional={
        "labels": st.lists(st.sampled_from("NRVP"), min_size=1, max_size=2, unique=True).map(
            lambda some: ["PSY" if each == "P" else each for each in some]
        ),
        "data": st.sampled_from(["p-lab", "p-psy", "p-vital"]).map(
            lambda name: [("instance", f"Observation/zz{name}")]
        ),
        "within": st.sampled_from([("2024-01-15", "2024-02-15"), ("2024-02-15", "2025-01-01")]),
        "actors": st.sampled_from([["Practitioner/zzs-nurse"], ["Practitioner/zzs-doctor"], ["Device/zzs-device"]]),
    },
)
purposes = st.sampled_from([None, TPO, ("TREAT",), ("HRESCH",)])
limits = st.builds(lambda purpose, more: deny(purpose, **more), purposes, terms)
permissions = st.builds(lambda purpose, more: permit(purpose, **more), st.just(TPO), terms)
roles = st.sampled_from([RADIOLOGIST, REFERRING, NURSE, TECHNOLOGIST, RESEARCHER, PATIENT, PROXY, SYSTEM])
grants = st.builds(
    Grant,
    st.just(INTERACTIONS),
    st.sampled_from([None, frozenset({"Observation", "Patient", "Provenance", "List"})]),
    st.sampled_from([None, "zzp-self", "zzq-self"]),
    st.sampled_from([(), (("category", "vital-signs"),), (("code", "psy"),)]),
)
_names = {
    RADIOLOGIST: "Practitioner/zzs-radiologist",
    REFERRING: "Practitioner/zzs-doctor",
    SYSTEM: "Device/zzs-device",
}


@st.composite
def actors(draw: st.DrawFn) -> Actor:
    role, granted = draw(roles), draw(st.lists(grants, min_size=1, max_size=2))
    own = frozenset({"zzp-self"}) if role in (PATIENT, PROXY) else frozenset()
    name = repr((role, granted))
    return Actor(
        name, name, tuple(granted), frozenset({role}), "u", "c", _names.get(role, "Practitioner/zzs-nurse"), own
    )


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    with opened_hospital(tmp_path_factory.mktemp("properties")) as opened:
        opened.fill()
        yield opened


def agreed(hospital: Hospital, root: Json, *nested: Json) -> None:
    provision = {**root, "provision": [*root.get("provision", ()), *nested]} if nested else root
    said: dict[str, Any] = consent(provision, "Patient/zzp-self", id="zzp-consent")
    hospital.put(said)


def readable(hospital: Hospital, actor: Actor) -> set[str]:
    paths = {each: f"/fhir/Observation/zz{each}" for each in OBSERVATIONS}
    return {f"zz{name}" for name, path in paths.items() if hospital.answer(actor, "GET", path).status == 200}


def listed(hospital: Hospital, actor: Actor, query: str) -> tuple[list[str], int] | None:
    """Ids over all pages and the total that is told; `None` where it is refused."""
    got = hospital.answer(actor, "GET", f"/fhir/Observation?{query}&_count=3&_total=accurate")
    if got.status == 403:
        return None
    assert got.status == 200, got.body
    total, ids = got.json["total"], []
    while True:
        found = [each["resource"]["id"] for each in got.json.get("entry", ()) if each["search"]["mode"] == "match"]
        ids += found
        onward = [each["url"] for each in got.json["link"] if each["relation"] == "next"]
        if not onward:
            return ids, total
        got = hospital.answer(actor, "GET", onward[0].removeprefix("http://weft.example"))


@few
@given(actor=actors(), root=permissions | limits, nested=st.lists(limits, max_size=1), query=st.sampled_from(QUERIES))
def test_what_is_found_is_what_may_be_read(
    hospital: Hospital, actor: Actor, root: Json, nested: list[Json], query: str
) -> None:
    agreed(hospital, root, *(nested if root["type"] == "permit" else []))
    seen, found = readable(hospital, actor), listed(hospital, actor, query)
    if found is None:
        return
    everybodys = listed(hospital, LOCAL_ACTOR, query)
    assert everybodys is not None
    ids, total = found
    assert len(ids) == len(set(ids)) == total
    assert set(ids) <= seen
    if "." not in query and "_has" not in query and "_list" not in query:
        assert ids == [each for each in everybodys[0] if each in seen]
    counted = hospital.answer(actor, "GET", f"/fhir/Observation?{query}&_summary=count")
    assert counted.json["total"] == total


@few
@given(actor=actors(), root=permissions, first=limits, second=limits)
def test_a_consent_that_limits_more_shows_no_more(
    hospital: Hospital, actor: Actor, root: Json, first: Json, second: Json
) -> None:
    seen = []
    for nested in ((), (first,), (first, second)):
        agreed(hospital, root, *nested)
        seen.append(readable(hospital, actor))
    assert seen[2] <= seen[1] <= seen[0]


@few
@given(actor=actors(), more=grants, root=permissions | limits)
def test_a_grant_more_shows_no_less(hospital: Hospital, actor: Actor, more: Grant, root: Json) -> None:
    agreed(hospital, root)
    granted = (*actor.grants, more)
    wider = Actor("wider", "wider", granted, actor.roles, "u", "c", actor.fhir_user, actor.own_patients)
    assert readable(hospital, actor) <= readable(hospital, wider)
