"""Operations on resources: their calls, `$validate`, `$meta`, `$match` and later answers (FHIR R4 operations.html)."""

from __future__ import annotations

from conformance.kit.client import Response
from conformance.kit.fhir.search_chains import person
from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import Fhir, Resource, body_of, entries, expect_status, refused
from conformance.kit.fhir.shelf import Shelf, errors, expressions, offered, searchset
from conformance.kit.verdict import Skipped, expect

operations = Section()


def parameters(*given: Resource) -> Resource:
    return {"resourceType": "Parameters", "parameter": list(given)}


def value_of(answer: Resource, name: str) -> object:
    """The value of the first parameter of a name; `None` where there is none."""
    for each in answer.get("parameter", []):
        if each["name"] == name:
            return next((value for key, value in each.items() if key.startswith(("value", "resource", "part"))), None)
    return None


def need_operation(fhir: Fhir, name: str, resource_type: str) -> None:
    if name not in {each["name"] for each in fhir.offer(resource_type).get("operation", [])}:
        raise Skipped(f"${name} is not offered on {resource_type}")


# Calls


@operations.check("O01", "operations.html#executing")
def knows_no_other_operations(fhir: Fhir) -> None:
    shelf = Shelf(fhir, anna=person("Quell"))
    for path in ("/$no-such", "/Patient/$no-such", f"/{shelf['anna']}/$no-such"):
        refused(fhir.get(path), 400, 404)
        refused(fhir.post(path, parameters()), 400, 404)


@operations.check("O01", "operations.html#executing")
def takes_parameters_from_a_query_and_from_a_resource(fhir: Fhir) -> None:
    need_operation(fhir, "validate", "Patient")
    anna = person("Quell")
    bare = body_of(expect_status(fhir.post("/Patient/$validate", anna), 200), "OperationOutcome")
    wrapped = parameters({"name": "resource", "resource": anna}, {"name": "mode", "valueCode": "create"})
    same = body_of(expect_status(fhir.post("/Patient/$validate", wrapped), 200), "OperationOutcome")
    expect(not errors(bare) and not errors(same), "a plain Patient is said to be invalid")


@operations.check("O01", "operations.html#executing")
def calls_what_changes_something_by_post_only(fhir: Fhir) -> None:
    need_operation(fhir, "meta-add", "Patient")
    shelf = Shelf(fhir, anna=person("Quell"))
    refused(fhir.get(f"/{shelf['anna']}/$meta-add"), 404, 405)


@operations.check("O02", "operations.html#response")
def refuses_parameters_that_are_malformed(fhir: Fhir) -> None:
    need_operation(fhir, "validate", "Patient")
    double = parameters({"name": "mode", "valueCode": "create", "valueString": "create"})
    refused(fhir.post("/Patient/$validate", double), 400, 422)
    refused(fhir.post("/Patient/$validate", parameters({"valueCode": "create"})), 400, 422)


# $validate


@operations.check("O10", "operation-resource-validate.html")
def validates_without_storing(fhir: Fhir) -> None:
    need_operation(fhir, "validate", "Patient")
    shelf = Shelf(fhir)
    answer = expect_status(fhir.post("/Patient/$validate", shelf.tagged(person("Quell"))), 200)
    expect(not errors(body_of(answer, "OperationOutcome")), "a plain Patient is said to be invalid")
    shelf.finds("Patient?", "")


@operations.check("O10", "operation-resource-validate.html")
def tells_what_is_invalid_and_where(fhir: Fhir) -> None:
    need_operation(fhir, "validate", "Patient")
    wrong: list[tuple[Resource, str]] = [
        ({"resourceType": "Patient", "gender": "lilac"}, "Patient.gender"),
        ({"resourceType": "Patient", "birthDate": "soon"}, "Patient.birthDate"),
        ({"resourceType": "Patient", "contact": [{"gender": "male"}]}, "Patient.contact"),
        ({"resourceType": "Patient", "shoeSize": 43}, "Patient"),
    ]
    for resource, place in wrong:
        found = errors(body_of(expect_status(fhir.post("/Patient/$validate", resource), 200), "OperationOutcome"))
        places = expressions(found)
        expect(any(each.startswith(place) for each in places), f"an error at {place} is told of {places}")


@operations.check("O10", "operation-resource-validate.html")
def validates_in_every_mode(fhir: Fhir) -> None:
    need_operation(fhir, "validate", "Patient")
    shelf = Shelf(fhir, anna=person("Quell"))
    path, id_ = f"/{shelf['anna']}/$validate", shelf.id("anna")

    def mode(name: str, resource: Resource | None, **profile: str) -> Response:
        given: list[Resource] = [{"name": "mode", "valueCode": name}]
        if resource is not None:
            given.append({"name": "resource", "resource": resource})
        return fhir.post(path, parameters(*given, *({"name": key, "valueUri": url} for key, url in profile.items())))

    update = body_of(expect_status(mode("update", person("Quell", id=id_)), 200), "OperationOutcome")
    expect(not errors(update), "mode=update of a valid Patient has errors")
    other = body_of(expect_status(mode("update", person("Quell", id="other")), 200), "OperationOutcome")
    expect(bool(errors(other)), "mode=update says nothing of an id that is not the one of the URL")
    expect(not errors(body_of(expect_status(mode("delete", None), 200), "OperationOutcome")), "mode=delete has errors")
    known = mode("profile", person("Quell", id=id_), profile="http://hl7.org/fhir/StructureDefinition/Patient")
    expect(
        not errors(body_of(expect_status(known, 200), "OperationOutcome")), "mode=profile of a valid Patient has errors"
    )
    unknown = mode("profile", person("Quell", id=id_), profile="http://example.org/no-such-profile")
    if unknown.status == 200:
        expect(bool(errors(body_of(unknown, "OperationOutcome"))), "an unknown profile is passed over in silence")
    else:
        refused(unknown, 400, 404, 422)
    refused(
        fhir.post("/Patient/nobody-of-that-name/$validate", parameters({"name": "mode", "valueCode": "delete"})), 404
    )


# $meta


def _labels(answer: Response, kind: str = "tag") -> set[str]:
    meta = value_of(body_of(expect_status(answer, 200), "Parameters"), "return")
    expect(isinstance(meta, dict), "the answer has no Meta")
    return {each["code"] for each in meta.get(kind, [])} if isinstance(meta, dict) else set()


def _meta(**labels: object) -> Resource:
    return parameters({"name": "meta", "valueMeta": labels})


@operations.check("O35", "resource-operation-meta.html")
def tells_and_changes_labels(fhir: Fhir) -> None:
    need_operation(fhir, "meta", "Patient")
    shelf = Shelf(fhir, anna=person("Quell"))
    path, red = f"/{shelf['anna']}", {"system": "http://example.org/labels", "code": "red"}
    before = fhir.read(path)["meta"]
    expect(shelf.token in _labels(fhir.get(f"{path}/$meta")), "$meta does not tell the labels")
    added = _labels(fhir.post(f"{path}/$meta-add", _meta(tag=[red])))
    expect({"red", shelf.token} <= added, "$meta-add does not add")
    expect("red" in {each["code"] for each in fhir.read(path)["meta"]["tag"]}, "the resource lacks the label")
    shelf.finds("Patient?_tag=http://example.org/labels|red", "anna")
    again = fhir.post(f"{path}/$meta-add", _meta(tag=[red]))
    expect(len(_labels(again)) == len(added), "a label is there twice")
    removed = _labels(fhir.post(f"{path}/$meta-delete", _meta(tag=[red, {"system": "urn:x", "code": "absent"}])))
    expect("red" not in removed and shelf.token in removed, "$meta-delete does not remove just what is named")
    shelf.finds("Patient?_tag=http://example.org/labels|red", "")
    after = fhir.read(path)["meta"]
    expect(after["versionId"] == before["versionId"] or int(after["versionId"]) > 1, "the version is not told")


@operations.check("O35", "resource-operation-meta.html")
def tells_the_labels_of_a_version(fhir: Fhir) -> None:
    need_operation(fhir, "meta", "Patient")
    shelf = Shelf(fhir, anna=person("Quell"))
    path = f"/{shelf['anna']}"
    expect(
        shelf.token in _labels(offered(fhir.get(f"{path}/_history/1/$meta"), "$meta of a version")), "no labels told"
    )
    refused(fhir.get("/Patient/nobody-of-that-name/$meta"), 404)
    refused(fhir.get(f"{path}/_history/77/$meta"), 404)


@operations.check("O49", "patient-operation-match.html")
def matches_patients_by_what_is_known_of_them(fhir: Fhir) -> None:
    need_operation(fhir, "match", "Patient")
    system = "http://example.org/ids"
    shelf = Shelf(
        fhir, anna=person("Quell", identifier=[{"system": system, "value": fhir.unique()}], birthDate="1980-02-03")
    )
    known = fhir.read(f"/{shelf['anna']}")
    partial = {"resourceType": "Patient", "identifier": known["identifier"]}
    asked = parameters({"name": "resource", "resource": partial}, {"name": "count", "valueInteger": 5})
    bundle = searchset(fhir.post("/Patient/$match", asked), "$match")
    expect(shelf.names(bundle)[:1] == ["anna"], "the patient of this identifier is not matched")
    scores = [each["search"]["score"] for each in entries(bundle, "match")]
    expect(
        scores == sorted(scores, reverse=True) and all(0 <= each <= 1 for each in scores), f"the scores are {scores}"
    )


@operations.check("O50", "async.html")
def answers_later_where_that_is_preferred(fhir: Fhir) -> None:
    answer = fhir.get("/Patient?_count=1", prefer="respond-async")
    expect_status(answer, 200, 202)
    if answer.status == 200:
        raise Skipped("searches are answered at once")
    place = answer.headers.get("content-location", "")
    expect_status(fhir.get(fhir.client.path_of(place)), 200, 202)
    expect_status(fhir.delete(fhir.client.path_of(place)), 202, 204)
