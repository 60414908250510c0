from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from profiles.packages.imaging import NOTE_CODE
from server.access.decision import AccessPoint
from server.fhir.index.indexer import Indexer
from server.fhir.index.registry import Registry
from server.fhir.json_form import Resource, decode, encode
from server.fhir.operations.catalogue import Invocation, Level
from server.fhir.operations.parameters import OperationParameters
from server.fhir.repository import Repository
from server.fhir.writing import Writing
from server.fusion.timeline import TimelineService
from server.kernel.problem import Kind, Problem
from tests.profiles.packages.checking import category, coded, observation, quantity, validator
from tests.server.bridge.clinical import CONTEXT, SITE, Checked, Clinical, run
from tests.server.bridge.images import image

BASE = "http://localhost/fhir"


async def asked(clinical: Clinical, patient: str = "p", **parameters: str) -> Resource:
    given = OperationParameters.of_query(parameters.items())
    invocation = Invocation(Level.INSTANCE, given, BASE, "Patient", patient)
    answer = await clinical.timeline.answer(CONTEXT, invocation)
    assert isinstance(answer, dict)
    whole = decode(encode(answer))
    assert [each for each in validator().validate(whole) if each.is_error] == []
    return whole


def patient(patient_id: str = "p", number: str = "P1") -> Resource:
    identifier = {"system": "http://weft.health/fhir/sid/patient-id", "value": number}
    return {"resourceType": "Patient", "id": patient_id, "identifier": [identifier]}


def charted(resource_id: str, at: str, value: Any, code: str = "8867-4", unit: str = "/min", **more: Any) -> Resource:
    subject = {"reference": "Patient/p"}
    made = observation("vital-signs", code, effectiveDateTime=at, valueQuantity=quantity(value, unit), subject=subject)
    return made | {"id": resource_id} | more


def parts(part: list[Resource], name: str) -> list[Resource]:
    return [each for each in part if each["name"] == name]


def value_of(part: list[Resource], name: str) -> Any:
    [found] = parts(part, name)
    return next(value for key, value in found.items() if key.startswith("value"))


def events(answer: Resource) -> list[tuple[str, str]]:
    table = answer["entry"][0]["resource"]["parameter"]
    return [
        (value_of(each["part"], "kind"), value_of(each["part"], "resource")["reference"])
        for each in parts(table, "event")
    ]


def nearest(answer: Resource, code: str, side: str) -> tuple[str, Decimal, str, Decimal] | None:
    """Reference, value, unit and minutes of what the first study was read against."""
    table = answer["entry"][0]["resource"]["parameter"]
    study = parts(table, "study")[0]["part"]
    for each in parts(study, "nearest"):
        if value_of(each["part"], "code")["code"] == code:
            for near in parts(each["part"], side):
                shown = value_of(near["part"], "quantity")
                reference = value_of(near["part"], "resource")["reference"]
                return reference, shown["value"], shown["code"], value_of(near["part"], "minutes")
    return None


async def with_study(clinical: Clinical, *resources: Resource, **attributes: Any) -> None:
    """A study of Patient/p at ten o'clock on the 20th, Chinese time."""
    await clinical.put(patient(), *resources)
    await clinical.send(image(1, **({"StudyDate": "20261120", "StudyTime": "100000"} | attributes)))


def test_everything_of_a_period_in_order_of_time(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        div = '<div xmlns="http://www.w3.org/1999/xhtml">slept well</div>'
        note = {
            "resourceType": "Composition", "id": "note", "status": "final", "type": coded(NOTE_CODE),
            "subject": {"reference": "Patient/p"}, "date": "2026-11-20T07:45:00+08:00", "title": "Note",
            "author": [{"reference": "Practitioner/1"}],
            "section": [{"text": {"status": "generated", "div": div}}],
        }  # fmt: skip
        report = {
            "resourceType": "DiagnosticReport", "id": "report", "status": "final", "code": {"text": "CT"},
            "category": [coded("RAD", system="http://terminology.hl7.org/CodeSystem/v2-0074")],
            "subject": {"reference": "Patient/p"}, "effectiveDateTime": "2026-11-20T10:00:00+08:00",
        }  # fmt: skip
        laboratory = report | {"id": "laboratory", "category": [coded("LAB", system="http://x.org/c")]}
        await with_study(
            clinical,
            note,
            report,
            laboratory,
            charted("before", "2026-11-20T01:30:00Z", 80),
            charted("after", "2026-11-20T10:40:00+08:00", 84),
            charted("late", "2026-11-21T10:40:00+08:00", 84),
            charted("wrong", "2026-11-20T10:05:00+08:00", 200) | {"status": "entered-in-error"},
        )
        answer = await asked(clinical, start="2026-11-20", end="2026-11-20")
        [(_, study)] = [each for each in events(answer) if each[0] == "imaging-study"]
        assert events(answer) == [
            ("note", "Composition/note"),
            ("observation", "Observation/before"),
            ("imaging-study", study),
            ("report", "DiagnosticReport/report"),
            ("observation", "Observation/after"),
        ]
        assert [each.get("fullUrl", "")[len(BASE) + 1 :] for each in answer["entry"][1:]] == [
            reference for _, reference in events(answer)
        ]

    run(tmp_path, body)


def test_the_nearest_values_before_and_after_a_study(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await with_study(
            clinical,
            charted("far", "2026-11-20T05:59:00+08:00", 70),
            charted("before", "2026-11-20T09:12:00+08:00", 81),
            charted("nearer", "2026-11-20T02:46:30+01:00", 82),
            charted("after", "2026-11-20T10:20:00+08:00", 83),
            charted("fahrenheit", "2026-11-20T09:00:00+08:00", Decimal("98.6"), "8310-5", "[degF]"),
            charted("height", "2026-03-01", 172, "8302-2", "cm"),
            charted("weight", "2026-11-20", 150, "29463-7", "[lb_av]"),
            charted("old", "2026-09-01T08:00:00+08:00", 80, "39156-5", "kg/m2"),
        )
        answer = await asked(clinical, start="2026-11-20T09:50:00+08:00", end="2026-11-20T10:10:00+08:00")
        assert nearest(answer, "8867-4", "before") == ("Observation/nearer", 82, "/min", Decimal("-13.5"))
        assert nearest(answer, "8867-4", "after") == ("Observation/after", 83, "/min", 20)
        assert nearest(answer, "8310-5", "before") == ("Observation/fahrenheit", 37, "Cel", -60)
        assert nearest(answer, "8310-5", "after") is None
        # The first of March ends at midnight: 264 days and 10 hours before.
        height = nearest(answer, "8302-2", "before")
        assert height == ("Observation/height", 172, "cm", -(263 * 24 + 10) * 60)
        assert nearest(answer, "29463-7", "before") == ("Observation/weight", Decimal("68.0389"), "kg", 0)
        assert nearest(answer, "39156-5", "before") is None

    run(tmp_path, body)


def test_a_window_and_codes_can_be_asked_for(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        pressure = observation(
            "vital-signs", "85354-9", effectiveDateTime="2026-11-20T09:30:00+08:00", subject={"reference": "Patient/p"},
            component=[
                {"code": coded(code), "valueQuantity": quantity(value, "mm[Hg]")}
                for code, value in (("8480-6", 120), ("8462-4", 80))
            ],
        )  # fmt: skip
        await with_study(
            clinical,
            pressure | {"id": "bp"},
            charted("early", "2026-11-20T08:00:00+08:00", 81),
            charted("later", "2026-11-20T10:50:00+08:00", 82),
        )
        around = "1.2.3"
        answer = await asked(clinical, around=around, window="1h/30min")
        assert nearest(answer, "8867-4", "before") is nearest(answer, "8867-4", "after") is None
        assert nearest(answer, "8480-6", "before") == ("Observation/bp", 120, "mm[Hg]", -30)
        assert nearest(answer, "8462-4", "before") == ("Observation/bp", 80, "mm[Hg]", -30)
        wider = await asked(clinical, around=around, window="2h", code="8867-4")
        assert nearest(wider, "8867-4", "before") == ("Observation/early", 81, "/min", -120)
        assert nearest(wider, "8867-4", "after") == ("Observation/later", 82, "/min", 50)
        assert nearest(wider, "8480-6", "before") is None
        assert ("observation", "Observation/bp") not in events(wider)
        assert ("observation", "Observation/bp") in events(await asked(clinical, around=around, code="8480-6"))

    run(tmp_path, body)


def test_readings_sent_twice_are_folded(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        device = {"device": {"identifier": {"value": "monitor-1"}}}
        await with_study(
            clinical,
            charted("first", "2026-11-20T09:30:00+08:00", 80, **device),
            charted("again", "2026-11-20T01:30:00Z", Decimal("80.0"), **device),
            charted("other", "2026-11-20T09:30:00+08:00", 80),
            charted("more", "2026-11-20T09:30:00+08:00", 81, **device),
        )
        answer = await asked(clinical, start="2026-11-20", end="2026-11-20", code="8867-4")
        seen = [reference for kind, reference in events(answer) if kind == "observation"]
        assert seen == ["Observation/first", "Observation/more", "Observation/other"]
        first = parts(answer["entry"][0]["resource"]["parameter"], "event")[0]["part"]
        assert value_of(first, "duplicate") == {"reference": "Observation/again"}

    run(tmp_path, body)


def test_of_equally_near_values_the_confirmed_one_counts(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        at = "2026-11-20T09:30:00+08:00"
        await with_study(
            clinical,
            charted("draft", at, 90) | {"status": "preliminary"},
            charted("final", at, 80) | {"issued": "2026-11-20T09:31:00+08:00"},
            charted("later", at, 85) | {"issued": "2026-11-20T09:35:00+08:00"},
        )
        answer = await asked(clinical, start="2026-11-20", end="2026-11-20")
        assert nearest(answer, "8867-4", "before") == ("Observation/later", 85, "/min", -30)

    run(tmp_path, body)


def test_a_replaced_report_is_left_out(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        old = {
            "resourceType": "DiagnosticReport", "id": "old", "status": "final", "code": {"text": "CT"},
            "subject": {"reference": "Patient/p"}, "effectiveDateTime": "2026-11-20T10:00:00+08:00",
            "imagingStudy": [{"reference": "ImagingStudy/1"}],
        }  # fmt: skip
        url = "http://hl7.org/fhir/StructureDefinition/diagnosticReport-replaces"
        new = old | {"id": "new", "extension": [{"url": url, "valueReference": {"reference": "DiagnosticReport/old"}}]}
        await clinical.put(patient(), old, new)
        answer = await asked(clinical, start="2026-11-20", end="2026-11-20")
        assert events(answer) == [("report", "DiagnosticReport/new")]

    run(tmp_path, body)


def test_a_day_is_the_day_where_it_was_and_shown_as_recorded(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.put(patient(), charted("day", "2026-11-20", 80))
        answer = await asked(clinical, start="2026-11-19T16:00:00Z", end="2026-11-19T16:00:01Z")
        event = parts(answer["entry"][0]["resource"]["parameter"], "event")[0]["part"]
        assert value_of(event, "time") == "2026-11-20"
        assert value_of(event, "start") == "2026-11-19T16:00:00.000Z"
        assert value_of(event, "end") == "2026-11-20T16:00:00.000Z"

    run(tmp_path, body)


def test_without_a_period_it_is_the_last_week(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.put(
            patient(),
            charted("now", "2026-11-22T08:30:00+08:00", 80),
            charted("old", "2026-11-15T08:30:00+08:00", 80),
        )
        assert events(await asked(clinical)) == [("observation", "Observation/now")]

    run(tmp_path, body)


@pytest.mark.parametrize(
    ("parameters", "kind"),
    [
        ({"start": "yesterday"}, Kind.INVALID),
        ({"start": "2026-11-21", "end": "2026-11-20"}, Kind.INVALID),
        ({"window": "soon"}, Kind.INVALID),
        ({"window": "1h/2h/3h"}, Kind.INVALID),
        ({"window": "400d"}, Kind.INVALID),
        ({"colour": "red"}, Kind.INVALID),
        ({"around": "ImagingStudy/none"}, Kind.NOT_FOUND),
        ({"around": "Observation/1"}, Kind.INVALID),
        ({"around": "1.2.3.4.5"}, Kind.NOT_FOUND),
    ],
)
def test_what_cannot_be_understood_is_refused(tmp_path: Path, parameters: dict[str, str], kind: Kind) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.put(patient())
        with pytest.raises(Problem) as caught:
            await asked(clinical, **parameters)
        assert caught.value.kind is kind

    run(tmp_path, body)


def test_the_study_of_another_patient_is_none_of_this_one(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await with_study(clinical, patient("q", "P2"))
        with pytest.raises(Problem) as caught:
            await asked(clinical, "q", around="1.2.3")
        assert caught.value.kind is Kind.NOT_FOUND
        with pytest.raises(Problem) as caught:
            await asked(clinical, "nobody")
        assert caught.value.kind is Kind.NOT_FOUND

    run(tmp_path, body)


def test_observations_of_the_laboratory_are_no_charting(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        potassium = charted("k", "2026-11-20T09:30:00+08:00", 4, "2823-3", "mmol/L")
        await clinical.put(patient(), potassium | {"category": category("laboratory")})
        assert events(await asked(clinical, start="2026-11-20", end="2026-11-20")) == []
        asked_for = await asked(clinical, start="2026-11-20", end="2026-11-20", code="2823-3")
        assert events(asked_for) == [("observation", "Observation/k")]

    run(tmp_path, body)


def pressure(resource_id: str, at: str) -> Resource:
    components = [
        {"code": coded(code), "valueQuantity": quantity(value, "mm[Hg]")}
        for code, value in (("8480-6", 120), ("8462-4", 80))
    ]
    subject = {"reference": "Patient/p"}
    made = observation("vital-signs", "85354-9", effectiveDateTime=at, subject=subject, component=components)
    return made | {"id": resource_id}


def test_the_code_of_a_panel_asks_for_all_its_components(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await with_study(clinical, pressure("bp", "2026-11-20T09:30:00+08:00"))
        answer = await asked(clinical, around="1.2.3", code="85354-9")
        assert ("observation", "Observation/bp") in events(answer)
        assert nearest(answer, "8480-6", "before") == ("Observation/bp", 120, "mm[Hg]", -30)
        assert nearest(answer, "8462-4", "before") == ("Observation/bp", 80, "mm[Hg]", -30)
        one = await asked(clinical, around="1.2.3", code="8462-4")
        assert nearest(one, "8480-6", "before") is None

    run(tmp_path, body)


def test_codes_of_other_systems_and_of_components_find_their_observations(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        at, local = "2026-11-20T09:30:00+08:00", "http://ward.example/codes"
        score = {"code": coded("eyes", system=local), "valueQuantity": quantity(4, "{score}")}
        alert = observation("survey", "80288-4", effectiveDateTime=at, subject={"reference": "Patient/p"})
        both = {"coding": [*coded("hr", system=local)["coding"], *coded("8867-4")["coding"]]}
        await with_study(
            clinical,
            charted("scored", at, 15, "9269-2", "{score}", component=[score]),
            charted("rate", at, 80, code="8867-4") | {"code": both},
            alert | {"id": "alert", "valueCodeableConcept": {"text": "alert"}},
        )
        eyes = await asked(clinical, around="1.2.3", code=f"{local}|eyes")
        assert nearest(eyes, "eyes", "before") == ("Observation/scored", 4, "{score}", -30)
        assert nearest(eyes, "9269-2", "before") is None
        rate = await asked(clinical, around="1.2.3", code=f"{local}|hr")
        assert nearest(rate, "8867-4", "before") == ("Observation/rate", 80, "/min", -30)
        assert ("observation", "Observation/alert") in events(await asked(clinical, around="1.2.3", code="80288-4"))

    run(tmp_path, body)


def test_a_known_item_is_found_where_it_is_a_component(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        flow = {"code": coded("3151-8"), "valueQuantity": quantity(2, "L/min")}
        saturation = charted("spo2", "2026-11-20T09:30:00+08:00", 97, "59408-5", "%", component=[flow])
        await with_study(clinical, saturation)
        assert nearest(await asked(clinical, around="1.2.3"), "3151-8", "before") == (
            "Observation/spo2", 2, "L/min", -30,
        )  # fmt: skip
        answer = await asked(clinical, around="1.2.3", code="3151-8")
        assert nearest(answer, "3151-8", "before") == ("Observation/spo2", 2, "L/min", -30)
        assert nearest(answer, "59408-5", "before") is None

    run(tmp_path, body)


def test_a_quantity_keeps_its_comparator_and_gets_no_unit_it_had_not(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        at, below = "2026-11-20T09:30:00+08:00", quantity(Decimal("95.0"), "[degF]") | {"comparator": "<"}
        await clinical.put(
            patient(),
            charted("low", at, 1, "8310-5") | {"valueQuantity": below},
            charted("plain", at, 1, "2", "1") | {"valueQuantity": {"value": 80, "unit": "次/分"}},
        )
        answer = await asked(clinical, start="2026-11-20", end="2026-11-20")
        low, plain = (each["part"] for each in parts(answer["entry"][0]["resource"]["parameter"], "event"))
        value = parts(low, "value")[0]["part"]
        ucum = "http://unitsofmeasure.org"
        shown = {"value": 35, "comparator": "<", "unit": "Cel", "system": ucum, "code": "Cel"}
        assert (value_of(value, "quantity"), value_of(value, "recorded")) == (shown, below)
        assert value_of(parts(plain, "value")[0]["part"], "quantity") == {"value": 80, "unit": "次/分"}

    run(tmp_path, body)


def test_the_later_issued_counts_whatever_the_offset_it_is_written_with(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        at = "2026-11-20T09:30:00+08:00"
        await with_study(
            clinical,
            charted("sooner", at, 80) | {"issued": "2026-11-20T09:35:00+08:00"},
            charted("later", at, 85) | {"issued": "2026-11-20T01:36:00Z"},
        )
        answer = await asked(clinical, start="2026-11-20", end="2026-11-20")
        assert nearest(answer, "8867-4", "before") == ("Observation/later", 85, "/min", -30)

    run(tmp_path, body)


def test_a_report_without_the_time_it_holds_for_stands_where_it_was_issued(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        report = {
            "resourceType": "DiagnosticReport", "id": "issued", "status": "final", "code": {"text": "CT"},
            "subject": {"reference": "Patient/p"}, "issued": "2026-11-20T10:00:00+08:00",
            "imagingStudy": [{"reference": "ImagingStudy/1"}],
        }  # fmt: skip
        held = report | {"id": "held", "effectiveDateTime": "2026-11-19T10:00:00+08:00"}
        await clinical.put(patient(), report, held)
        answer = await asked(clinical, start="2026-11-20", end="2026-11-20")
        assert events(answer) == [("report", "DiagnosticReport/issued")]

    run(tmp_path, body)


def test_days_are_those_of_the_site_whatever_zone_searches_are_in(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        """Indexed as days of Samoa: thirteen hours ahead of UTC, five of China."""
        ahead = Indexer(Registry(), zone=ZoneInfo("Pacific/Apia"))
        writing = Writing(clinical.offload, Checked(), ahead)
        elsewhere = Repository(
            clinical.records, AccessPoint(), clinical.clock, clinical.offload, writing, clinical.searcher
        )
        for each in (patient(), charted("day", "2026-11-20", 80), charted("before", "2026-11-19", 80)):
            await elsewhere.update(CONTEXT, each["resourceType"], each["id"], each)
        timeline = TimelineService(
            elsewhere, clinical.searcher, clinical.offload, clinical.clock, SITE, ZoneInfo("Pacific/Apia")
        )
        for start, end in (("2026-11-20", "2026-11-20"), ("2026-11-20T23:00:00+08:00", "2026-11-20T23:30:00+08:00")):
            given = OperationParameters.of_query((("start", start), ("end", end)))
            found = await timeline.timeline(CONTEXT, "p", given)
            assert [each.reference for each in found.events] == ["Observation/day"]

    run(tmp_path, body)


@pytest.mark.parametrize(
    ("parameters", "period"),
    [
        ({"end": "2026-11-20"}, ("2026-11-13T16:00:00.000Z", "2026-11-20T15:59:59.999Z")),
        ({"start": "2026-11", "end": "2026-11"}, ("2026-10-31T16:00:00.000Z", "2026-11-30T15:59:59.999Z")),
        ({"start": "0001-01-01", "end": "0001"}, ("1000-01-01T00:00:00.000Z", "1000-01-01T00:00:00.000Z")),
        ({"start": "2026", "end": "9999"}, ("2025-12-31T16:00:00.000Z", "9999-12-31T00:00:00.000Z")),
        ({"start": "2026-11-20T08:00:00 08:00"}, ("2026-11-20T00:00:00.000Z", "2026-11-22T01:00:00")),
    ],
)
def test_the_period_asked_for(tmp_path: Path, parameters: dict[str, str], period: tuple[str, str]) -> None:
    async def body(clinical: Clinical) -> None:
        endless = charted("endless", "2026-11-20", 80)
        del endless["effectiveDateTime"]
        await clinical.put(patient(), endless | {"effectivePeriod": {"start": "0001-01-01"}})
        answer = await asked(clinical, **parameters)
        told = value_of(answer["entry"][0]["resource"]["parameter"], "period")
        assert (told["start"], told["end"][: len(period[1])]) == period
        [event] = parts(answer["entry"][0]["resource"]["parameter"], "event")
        assert [each["name"] for each in event["part"]] == ["kind", "resource", "time", "value"]

    run(tmp_path, body)


def test_a_body_that_is_no_parameters_is_refused(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.put(patient())
        invocation = Invocation(Level.INSTANCE, OperationParameters(), BASE, "Patient", "p", body=patient())
        with pytest.raises(Problem) as caught:
            await clinical.timeline.answer(CONTEXT, invocation)
        assert caught.value.kind is Kind.INVALID

    run(tmp_path, body)


def test_a_patient_without_data_has_an_empty_table_and_a_deleted_one_none(tmp_path: Path) -> None:
    async def body(clinical: Clinical) -> None:
        await clinical.put(patient())
        answer = await asked(clinical)
        assert len(answer["entry"]) == 1
        assert [each["name"] for each in answer["entry"][0]["resource"]["parameter"]] == ["patient", "period"]
        await clinical.repository.delete(CONTEXT, "Patient", "p")
        with pytest.raises(Problem) as caught:
            await asked(clinical)
        assert caught.value.kind is Kind.GONE

    run(tmp_path, body)
