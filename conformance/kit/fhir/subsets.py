"""_summary and _elements on reads and searches (search.html#summary, #elements)."""

from __future__ import annotations

from collections.abc import Callable

from conformance.kit.fhir.rest import path_of
from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import Fhir, Resource, body_of, entries, ids, refused
from conformance.kit.verdict import expect

subsets = Section()

_OF_A_SUMMARY = {
    *("resourceType", "id", "meta", "implicitRules", "identifier", "active", "name", "telecom", "gender", "birthDate"),
    *("deceasedBoolean", "address", "managingOrganization", "link"),
}
_SUBSETTED = ("http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "SUBSETTED")


def _patient(fhir: Fhir) -> Resource:
    return fhir.make(
        "Patient",
        text={"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">A patient</div>'},
        active=True,
        name=[{"family": fhir.unique()}],
        gender="other",
        deceasedBoolean=False,
        birthDate="1980-02-03",
        maritalStatus={"text": "married"},
        contact=[{"name": {"family": "Kin"}}],
        communication=[{"language": {"text": "German"}}],
    )


def _both_ways(fhir: Fhir, made: Resource) -> dict[str, Callable[[str], Resource]]:
    """The resource as read, as a version read and as found, each with a query of general parameters."""
    path = path_of(made)
    version = f"{path}/_history/{made['meta']['versionId']}"
    kind = made["resourceType"]
    return {
        "read": lambda query: fhir.read(f"{path}?{query}"),
        "vread": lambda query: fhir.read(f"{version}?{query}"),
        "search": lambda query: dict(fhir.bundle(f"/{kind}?_id={made['id']}&{query}")["entry"][0]["resource"]),
    }


def _is_marked(resource: Resource) -> bool:
    return _SUBSETTED in {(each.get("system"), each.get("code")) for each in resource["meta"].get("tag", [])}


@subsets.check("R24", "search.html#summary")
def gives_the_summary_of_a_patient(fhir: Fhir) -> None:
    made = _patient(fhir)
    expected = set(made) & _OF_A_SUMMARY
    for name, seen in _both_ways(fhir, made).items():
        summary = seen("_summary=true")
        expect(set(summary) == expected, f"{name}: the summary has {sorted(set(summary) ^ expected)} too much or less")


@subsets.check("R24", "search.html#summary")
def keeps_what_is_mandatory_in_a_summary(fhir: Fhir) -> None:
    made = fhir.make("Observation", status="final", code={"text": "a"}, note=[{"text": "kept out"}])
    summary = fhir.read(f"{path_of(made)}?_summary=true")
    expect({"status", "code"} <= set(summary), "a mandatory element is missing from the summary")
    expect("note" not in summary, "the summary holds what is not of it")


@subsets.check("R25", "search.html#summary")
def gives_text_data_count_or_all(fhir: Fhir) -> None:
    made = _patient(fhir)
    for name, seen in _both_ways(fhir, made).items():
        text, data, whole = (seen(f"_summary={each}") for each in ("text", "data", "false"))
        expect(set(text) == {"resourceType", "id", "meta", "text"}, f"{name}: text gives {sorted(text)}")
        expect(set(data) == set(made) - {"text"}, f"{name}: data gives {sorted(data)}")
        expect(whole == made, f"{name}: false is not the whole resource")
    counted = fhir.bundle(f"/Patient?_id={made['id']}&_summary=count")
    expect(counted["total"] == 1 and "entry" not in counted, "count gives entries, or not the total")


@subsets.check("R26", "search.html#elements")
def gives_the_elements_asked_for_and_those_it_must(fhir: Fhir) -> None:
    made = fhir.make("Observation", status="final", code={"text": "a"}, valueString="b", note=[{"text": "c"}])
    for name, seen in _both_ways(fhir, made).items():
        found = set(seen("_elements=note"))
        expect(found == {"resourceType", "id", "meta", "status", "code", "note"}, f"{name}: gives {sorted(found)}")
        expect("valueString" in seen("_elements=value,status"), f"{name}: a choice is not found by its stem")
    found = set(fhir.bundle(f"/Observation?_id={made['id']}&_elements=Observation.note")["entry"][0]["resource"])
    expect("note" in found and "valueString" not in found, f"Type.name gives {sorted(found)}")


@subsets.check("R27", "search.html#summary")
def marks_a_subset_and_not_what_is_stored(fhir: Fhir) -> None:
    made = _patient(fhir)
    for seen in _both_ways(fhir, made).values():
        for query in ("_summary=true", "_summary=text", "_summary=data", "_elements=name"):
            expect(_is_marked(seen(query)), f"{query} is not marked SUBSETTED")
            expect(made["meta"]["tag"][0] in seen(query)["meta"]["tag"], f"{query} loses the tags of its own")
        expect(not _is_marked(seen("_summary=false")), "the whole resource is marked")
    expect(not _is_marked(fhir.read(path_of(made))), "the stored resource is marked")


@subsets.check("R29", "search.html#summary")
def leaves_included_resources_whole(fhir: Fhir) -> None:
    patient = _patient(fhir)
    subject = {"reference": f"Patient/{patient['id']}"}
    made = fhir.make("Observation", status="final", code={"text": "a"}, subject=subject, note=[{"text": "b"}])
    query = f"/Observation?_id={made['id']}&_include=Observation:subject"
    found = fhir.bundle(f"{query}&_elements=status")
    expect(ids(found, "include") == [patient["id"]], "the subject is not included")
    included = entries(found, "include")[0]["resource"]
    expect(included == patient, "_elements is applied to what is included")
    refused(fhir.get(f"{query}&_summary=text"), 400)


@subsets.check("R30", "search.html#elements")
def refuses_elements_together_with_a_summary(fhir: Fhir) -> None:
    made = _patient(fhir)
    refused(fhir.get(f"/Patient?_id={made['id']}&_elements=name&_summary=true"), 400)
    refused(fhir.get(f"{path_of(made)}?_elements=name&_summary=data"), 400)
    found = body_of(fhir.get(f"{path_of(made)}?_elements=name&_summary=false"))
    expect("name" in found and "gender" not in found, "_summary=false overrules _elements")
