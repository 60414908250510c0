"""References between the entries of a transaction, and from them to what is stored (http.html#trules)."""

from __future__ import annotations

from typing import Any

from conformance.kit.fhir.bundles import entry, send, statuses, transaction
from conformance.kit.fhir.rest import path_of
from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import Fhir, Resource, entries, refused
from conformance.kit.verdict import expect

bundle_references = Section()

_URN = "urn:uuid:6b5c1c5e-6f3c-4a6e-9a35-4f4b0c4f0d{:02}"


def _observation(fhir: Fhir, subject: str, **members: Any) -> Resource:
    return fhir.draft("Observation", status="final", code={"text": "a"}, subject={"reference": subject}, **members)


def _reference_to(answer: Resource) -> str:
    return f"{answer['resource']['resourceType']}/{answer['resource']['id']}"


def _is_to(reference: str, target: str, fhir: Fhir) -> bool:
    return reference in (target, f"{fhir.base}/{target}")


@bundle_references.check("B06", "http.html#trules")
def resolves_to_what_conditional_writes_of_the_transaction_make(fhir: Fhir) -> None:
    family, second = fhir.unique(), fhir.unique()
    there = fhir.make("Patient", name=[{"family": family}])
    names = [{"name": [{"family": each}]} for each in (family, second)]
    found, new, updated, *others = transaction(
        fhir,
        entry("POST", "Patient", fhir.draft("Patient", **names[0]), _URN.format(1), ifNoneExist=f"family={family}"),
        entry("POST", "Patient", fhir.draft("Patient", **names[1]), _URN.format(2), ifNoneExist=f"family={second}"),
        entry("PUT", "Organization?name=" + fhir.unique(), fhir.draft("Organization", name="a"), _URN.format(3)),
        *(entry("POST", "Observation", _observation(fhir, _URN.format(number))) for number in (1, 2)),
        entry("POST", "Basic", fhir.draft("Basic", code={"text": "a"}, author={"reference": _URN.format(3)})),
    )
    expect(statuses([found, new, updated]) == [200, 201, 201], "the conditional writes went otherwise")
    targets = (f"Patient/{there['id']}", _reference_to(new))
    for other, target in zip(others[:2], targets, strict=True):
        expect(
            _is_to(other["resource"]["subject"]["reference"], target, fhir), "a reference does not lead to the match"
        )
    expect(_is_to(others[2]["resource"]["author"]["reference"], _reference_to(updated), fhir), "PUT is not resolved")


@bundle_references.check("B10", "http.html#trules")
def replaces_full_urls_wherever_they_are_references(fhir: Fhir) -> None:
    urn = _URN.format(4)
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{urn}">a</a> {urn}</div>'
    document = fhir.draft(
        "Observation",
        status="final",
        text={"status": "additional", "div": div},
        code={"coding": [{"system": urn, "code": "a"}], "text": urn},
        identifier=[{"system": "urn:ietf:rfc:3986", "value": urn}],
        subject={"reference": urn},
        contained=[{"resourceType": "Basic", "id": "c", "code": {"text": "a"}, "subject": {"reference": urn}}],
        focus=[{"reference": "#c"}],
        extension=[
            {"url": "https://example.org/uri", "valueUri": urn},
            {"url": "https://example.org/url", "valueUrl": urn},
            {"url": "https://example.org/reference", "valueReference": {"reference": urn}},
            {"url": "https://example.org/attachment", "valueAttachment": {"url": urn}},
            {"url": "https://example.org/canonical", "valueCanonical": urn},
            {"url": "https://example.org/string", "valueString": urn},
            {"url": "https://example.org/markdown", "valueMarkdown": urn},
        ],
        note=[{"text": urn}],
    )
    patient, other = transaction(
        fhir, entry("POST", "Patient", fhir.draft("Patient"), urn), entry("POST", "Observation", document)
    )
    got, target = other["resource"], _reference_to(patient)
    values = {
        each["url"].rsplit("/", 1)[1]: next(v for k, v in each.items() if k != "url") for each in got["extension"]
    }
    replaced = {
        "subject": got["subject"]["reference"],
        "contained": got["contained"][0]["subject"]["reference"],
        "uri": values["uri"],
        "url": values["url"],
        "reference": values["reference"]["reference"],
        "attachment": values["attachment"]["url"],
        "narrative": got["text"]["div"].split('href="')[1].split('"')[0],
    }
    for name, value in replaced.items():
        expect(_is_to(value, target, fhir), f"{name} is {value}, expected {target}")
    kept = (values["canonical"], values["string"], values["markdown"], got["note"][0]["text"], got["code"]["text"])
    expect(set(kept) == {urn}, "what is no reference was replaced")
    expect(got["identifier"][0]["value"] == urn, "the value of an identifier was replaced")
    expect(got["focus"][0]["reference"] == "#c", "a reference to a contained resource was changed")


@bundle_references.check("B11", "http.html#trules")
def keeps_references_to_versions_as_such(fhir: Fhir) -> None:
    made = fhir.make("Patient")
    path = path_of(made)[1:]
    url = f"{fhir.base}/{path}"
    updated, other = transaction(
        fhir,
        entry("PUT", path, {**made, "active": True}, url),
        entry("POST", "Observation", _observation(fhir, f"{url}/_history/{made['meta']['versionId']}")),
    )
    reference = other["resource"]["subject"]["reference"]
    version = updated["resource"]["meta"]["versionId"]
    expect(_is_to(reference, f"{path}/_history/{version}", fhir), f"the reference is {reference}")


@bundle_references.check("B12", "http.html#trules")
def takes_circles_of_references(fhir: Fhir) -> None:
    one, two = _URN.format(5), _URN.format(6)

    def linked(other: str, itself: str) -> Resource:
        link = [{"other": {"reference": each}, "type": "seealso"} for each in (other, itself)]
        return fhir.draft("Patient", link=link)

    found = transaction(
        fhir, entry("POST", "Patient", linked(two, one), one), entry("POST", "Patient", linked(one, two), two)
    )
    targets = [_reference_to(each) for each in found]
    for each, expected in zip(found, (targets[::-1], targets), strict=True):
        got = [link["other"]["reference"] for link in each["resource"]["link"]]
        expect(all(map(_is_to, got, expected, [fhir] * 2)), f"links are {got}, expected {expected}")
    for each in found:
        fhir.updated(fhir.draft("Patient", id=each["resource"]["id"]))


@bundle_references.check("B13", "bundle.html#references")
def resolves_relative_references_by_the_base_of_the_entry(fhir: Fhir) -> None:
    foreign = "https://elsewhere.example/fhir"
    patient, relative, absolute = transaction(
        fhir,
        entry("POST", "Patient", fhir.draft("Patient"), f"{foreign}/Patient/p1"),
        entry("POST", "Observation", _observation(fhir, "Patient/p1"), f"{foreign}/Observation/o1"),
        entry("POST", "Observation", _observation(fhir, f"{foreign}/Patient/p1"), _URN.format(7)),
    )
    for each in (relative, absolute):
        got = each["resource"]["subject"]["reference"]
        expect(_is_to(got, _reference_to(patient), fhir), f"the reference is {got}")
    id = fhir.unique()
    _, plain = transaction(
        fhir,
        entry("PUT", f"Patient/{id}", fhir.draft("Patient", id=id)),
        entry("POST", "Observation", _observation(fhir, f"Patient/{id}"), _URN.format(8)),
    )
    expect(_is_to(plain["resource"]["subject"]["reference"], f"Patient/{id}", fhir), "Type/id is changed")


@bundle_references.check("B14", "http.html#trules")
def refuses_references_to_no_entry(fhir: Fhir) -> None:
    family = fhir.unique()
    good = entry("POST", "Patient", fhir.draft("Patient", name=[{"family": family}]))
    refused(
        send(fhir, "transaction", good, entry("POST", "Observation", _observation(fhir, _URN.format(99)))), 400, 422
    )
    expect(not entries(fhir.bundle(f"/Patient?family={family}")), "a part of a failed transaction is kept")
    foreign = "https://elsewhere.example/fhir/Patient/1"
    [found] = transaction(fhir, entry("POST", "Observation", _observation(fhir, foreign)))
    expect(found["resource"]["subject"]["reference"] == foreign, "a foreign reference was changed")


@bundle_references.check("B15", "http.html#trules")
def resolves_conditional_references(fhir: Fhir) -> None:
    family = fhir.unique()
    conditional = f"Patient?family={family}"
    observe = entry("POST", "Observation", _observation(fhir, conditional))
    refused(send(fhir, "transaction", observe), 400, 404, 412, 422)
    there = fhir.make("Patient", name=[{"family": family}])
    [found] = transaction(fhir, observe)
    expect(_is_to(found["resource"]["subject"]["reference"], f"Patient/{there['id']}", fhir), "it is not resolved")
    for control in ("_count=1", "_sort=family", "_include=Patient:organization", "no-such-parameter=a"):
        bad = entry("POST", "Observation", _observation(fhir, f"{conditional}&{control}"))
        refused(send(fhir, "transaction", bad), 400, 412, 422)
    fhir.make("Patient", name=[{"family": family}])
    refused(send(fhir, "transaction", observe), 400, 412)
    outside = fhir.post("/Observation", observe["resource"])
    if outside.status != 201:
        refused(outside, 400, 412, 422)


@bundle_references.check("B15", "http.html#trules")
def resolves_conditional_references_to_what_the_transaction_makes(fhir: Fhir) -> None:
    family, second = fhir.unique(), fhir.unique()
    patients = (
        entry("POST", "Patient", fhir.draft("Patient", name=[{"family": family}])),
        entry("PUT", f"Patient?family={second}", fhir.draft("Patient", name=[{"family": second}])),
    )
    for patient, name in zip(patients, (family, second), strict=True):
        observe = entry("POST", "Observation", _observation(fhir, f"Patient?family={name}"))
        observed, made = transaction(fhir, observe, patient)
        reference = observed["resource"]["subject"]["reference"]
        expect(_is_to(reference, _reference_to(made), fhir), f"the reference is {reference}")
    again = entry("POST", "Observation", _observation(fhir, f"Patient?family={family}"))
    refused(send(fhir, "transaction", again, patients[0]), 400, 412)
    updated = {**patients[1], "resource": fhir.draft("Patient", name=[{"family": second}], active=True)}
    observed, made = transaction(fhir, {**again, "resource": _observation(fhir, f"Patient?family={second}")}, updated)
    expect(_is_to(observed["resource"]["subject"]["reference"], _reference_to(made), fhir), "PUT is not resolved")
