"""`$expand`, `$validate-code`, `$lookup`, `$subsumes`, `$translate` (FHIR R4 terminology-service.html)."""

from __future__ import annotations

from conformance.kit.fhir.operations import parameters, value_of
from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import Fhir, Resource, body_of, expect_status, refused
from conformance.kit.fhir.shelf import Shelf, encoded
from conformance.kit.verdict import Skipped, expect

terminology = Section()

_GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"
_GENDER = "http://hl7.org/fhir/administrative-gender"
_ROLES = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"


def _need(fhir: Fhir, resource_type: str, name: str) -> None:
    if name not in {each["name"] for each in fhir.offer(resource_type).get("operation", [])}:
        raise Skipped(f"${name} is not offered")


def _asked(fhir: Fhir, path: str) -> Resource:
    return body_of(expect_status(fhir.get(encoded(path)), 200))


def _expanded(fhir: Fhir, query: str) -> Resource:
    found = _asked(fhir, f"/ValueSet/$expand?{query}")
    expect(found["resourceType"] == "ValueSet", f"$expand gives a {found['resourceType']}")
    expansion: Resource = found.get("expansion", {})
    expect("timestamp" in expansion, "the expansion has no timestamp")
    return expansion


def _codes(expansion: Resource) -> list[str]:
    return [each["code"] for each in expansion.get("contains", [])]


def _composed(*include: Resource, **others: object) -> Resource:
    return {"resourceType": "ValueSet", "status": "active", "compose": {"include": list(include), **others}}


def _posted(fhir: Fhir, value_set: Resource) -> list[str]:
    answer = fhir.post("/ValueSet/$expand", parameters({"name": "valueSet", "resource": value_set}))
    return sorted(_codes(body_of(expect_status(answer, 200), "ValueSet").get("expansion", {})))


def _listed(*codes: str) -> Resource:
    return {"system": _GENDER, "concept": [{"code": each} for each in codes]}


@terminology.check("O40", "valueset-operation-expand.html")
def expands_value_sets(fhir: Fhir) -> None:
    _need(fhir, "ValueSet", "expand")
    expansion = _expanded(fhir, f"url={_GENDERS}")
    expect(sorted(_codes(expansion)) == ["female", "male", "other", "unknown"], "not the four genders")
    expect(expansion.get("total", 4) == 4 and all(each.get("display") for each in expansion["contains"]), "no displays")
    expect(_posted(fhir, _composed(_listed("male"))) == ["male"], "a posted value set is not expanded")
    refused(fhir.get("/ValueSet/$expand?url=http://example.org/no-such-set"), 400, 404, 422)
    refused(fhir.get("/ValueSet/$expand"), 400, 422)


@terminology.check("O40", "valueset-operation-expand.html")
def expands_stored_value_sets(fhir: Fhir) -> None:
    _need(fhir, "ValueSet", "expand")
    url = f"http://example.org/ValueSet/{fhir.unique()}"
    shelf = Shelf(fhir, one={**_composed(_listed("male")), "url": url, "version": "1"})
    shelf.add("two", {**_composed(_listed("male", "other")), "url": url, "version": "2"})
    by_id = body_of(expect_status(fhir.get(f"/{shelf['one']}/$expand"), 200), "ValueSet")
    expect(_codes(by_id["expansion"]) == ["male"], "the value set of this id is not expanded")
    expect(_codes(_expanded(fhir, f"url={url}&valueSetVersion=1")) == ["male"], "valueSetVersion is not heeded")
    expect(sorted(_codes(_expanded(fhir, f"url={url}"))) == ["male", "other"], "not the newest version is expanded")
    refused(fhir.get("/ValueSet/none-of-that-name/$expand"), 404)


@terminology.check("O41", "valueset-operation-expand.html")
def narrows_and_pages_expansions(fhir: Fhir) -> None:
    _need(fhir, "ValueSet", "expand")
    expect(_codes(_expanded(fhir, f"url={_GENDERS}&filter=fem")) == ["female"], "filter does not narrow")
    whole = _codes(_expanded(fhir, f"url={_GENDERS}"))
    parts = [_expanded(fhir, f"url={_GENDERS}&offset={place}&count=3") for place in (0, 3)]
    expect([code for each in parts for code in _codes(each)] == whole, "offset and count do not page")
    expect({each.get("total") for each in parts} == {4}, "a page of the expansion has not the total of all")
    none = _expanded(fhir, f"url={_GENDERS}&count=0")
    expect(none.get("total") == 4 and not none.get("contains"), "count=0 does not give the total only")
    named = {each["name"] for each in parts[0].get("parameter", [])}
    expect({"offset", "count"} <= named, f"the expansion records only {' '.join(sorted(named))}")
    filtered = _expanded(fhir, f"url={_GENDERS}&exclude-system={_GENDER}|4.0.1")
    expect(not _codes(filtered), "exclude-system does not exclude")


@terminology.check("O43", "valueset-operation-expand.html")
def refuses_expansions_it_cannot_give_whole(fhir: Fhir) -> None:
    _need(fhir, "ValueSet", "expand")
    unknown = parameters({"name": "valueSet", "resource": _composed({"system": "http://example.org/no-such-system"})})
    refused(fhir.post("/ValueSet/$expand", unknown), 400, 404, 422)
    endless = parameters({"name": "valueSet", "resource": _composed({"system": "http://unitsofmeasure.org"})})
    refused(fhir.post("/ValueSet/$expand", endless), 400, 404, 422)


@terminology.check("O44", "valueset.html#compositions")
def composes_by_union_and_intersection(fhir: Fhir) -> None:
    _need(fhir, "ValueSet", "expand")
    url = f"http://example.org/ValueSet/{fhir.unique()}"
    Shelf(fhir, some={**_composed(_listed("male", "female")), "url": url})
    imported = {"valueSet": [url]}
    for composed, codes in (
        (_composed(_listed("other"), imported), ["female", "male", "other"]),
        (_composed({**_listed("other", "male"), **imported}), ["male"]),
        (_composed({"system": _GENDER}, exclude=[_listed("male")]), ["female", "other", "unknown"]),
        (_composed({"system": _GENDER}, exclude=[imported]), ["other", "unknown"]),
    ):
        found = _posted(fhir, composed)
        expect(found == codes, f"composed: {' '.join(found)}, expected {' '.join(codes)}")


@terminology.check("O44", "valueset.html#compositions")
def filters_by_hierarchy(fhir: Fhir) -> None:
    _need(fhir, "ValueSet", "expand")
    below = {"system": _ROLES, "filter": [{"property": "concept", "op": "is-a", "value": "PRN"}]}
    answer = fhir.post("/ValueSet/$expand", parameters({"name": "valueSet", "resource": _composed(below)}))
    if answer.status != 200:
        raise Skipped("v3 RoleCode is not known here")
    codes = _codes(body_of(answer)["expansion"])
    expect({"PRN", "MTH", "FTH"} <= set(codes) and "FRND" not in codes, "is-a does not give a concept and all below it")


@terminology.check("O44", "valueset.html#compositions")
def ends_where_value_sets_import_each_other(fhir: Fhir) -> None:
    _need(fhir, "ValueSet", "expand")
    one, two = (f"http://example.org/ValueSet/{fhir.unique()}" for _ in range(2))
    shelf = Shelf(fhir, one={**_composed(_listed("male"), {"valueSet": [two]}), "url": one})
    shelf.add("two", {**_composed(_listed("other"), {"valueSet": [one]}), "url": two})
    answer = fhir.get(f"/ValueSet/$expand?url={one}")
    expect(answer.status < 500, f"value sets that import each other gave {answer.status}")


@terminology.check("O45", "valueset-operation-validate-code.html")
def validates_codes_against_value_sets(fhir: Fhir) -> None:
    _need(fhir, "ValueSet", "validate-code")
    path = f"/ValueSet/$validate-code?url={_GENDERS}"
    for query, result in (
        (f"&system={_GENDER}&code=male", True), (f"&system={_GENDER}&code=lilac", False),
        ("&system=http://example.org/other&code=male", False),
    ):  # fmt: skip
        found = _asked(fhir, path + query)
        expect(value_of(found, "result") is result, f"{query} is said to be {value_of(found, 'result')}")
        expect(result or bool(value_of(found, "message")), "nothing says why a code is not valid")
    expect(
        value_of(_asked(fhir, f"{path}&system={_GENDER}&code=male"), "display") == "Male", "the display is not given"
    )
    wrong = _asked(fhir, f"{path}&system={_GENDER}&code=male&display=Female")
    expect(value_of(wrong, "result") is False or bool(value_of(wrong, "message")), "a wrong display is passed over")
    refused(fhir.get(encoded(path)), 400, 422)


@terminology.check("O45", "valueset-operation-validate-code.html")
def validates_codings_and_concepts(fhir: Fhir) -> None:
    _need(fhir, "ValueSet", "validate-code")
    url = {"name": "url", "valueUri": _GENDERS}
    male, other = {"system": _GENDER, "code": "male"}, {"system": "http://example.org/x", "code": "y"}
    for given, result in (
        ({"name": "coding", "valueCoding": male}, True), ({"name": "coding", "valueCoding": other}, False),
        ({"name": "codeableConcept", "valueCodeableConcept": {"coding": [other, male]}}, True),
    ):  # fmt: skip
        answer = body_of(
            expect_status(fhir.post("/ValueSet/$validate-code", parameters(url, given)), 200), "Parameters"
        )
        expect(value_of(answer, "result") is result, f"{given['name']} is said to be {value_of(answer, 'result')}")
    both = parameters(url, {"name": "coding", "valueCoding": male}, {"name": "code", "valueCode": "male"})
    refused(fhir.post("/ValueSet/$validate-code", both), 400, 422)


@terminology.check("O45", "codesystem-operation-validate-code.html")
def validates_codes_against_code_systems(fhir: Fhir) -> None:
    _need(fhir, "CodeSystem", "validate-code")
    for code, result in (("male", True), ("lilac", False)):
        found = _asked(fhir, f"/CodeSystem/$validate-code?url={_GENDER}&code={code}")
        expect(value_of(found, "result") is result, f"{code} is said to be {value_of(found, 'result')}")


@terminology.check("O46", "codesystem-operation-lookup.html")
def looks_codes_up(fhir: Fhir) -> None:
    _need(fhir, "CodeSystem", "lookup")
    found = _asked(fhir, f"/CodeSystem/$lookup?system={_GENDER}&code=male")
    expect(bool(value_of(found, "name")), "the name of the code system is not given")
    expect(value_of(found, "display") == "Male", f"the display is {value_of(found, 'display')}")
    coding = parameters({"name": "coding", "valueCoding": {"system": _GENDER, "code": "female"}})
    same = body_of(expect_status(fhir.post("/CodeSystem/$lookup", coding), 200), "Parameters")
    expect(value_of(same, "display") == "Female", "a coding is not looked up")
    refused(fhir.get(encoded(f"/CodeSystem/$lookup?system={_GENDER}&code=lilac")), 404)
    refused(fhir.get("/CodeSystem/$lookup?system=http://example.org/no-such-system&code=a"), 400, 404)
    refused(fhir.get(encoded(f"/CodeSystem/$lookup?system={_GENDER}")), 400, 422)


@terminology.check("O46", "codesystem-operation-lookup.html")
def gives_the_properties_that_are_asked_for(fhir: Fhir) -> None:
    _need(fhir, "CodeSystem", "lookup")
    url = f"http://example.org/CodeSystem/{fhir.unique()}"
    kept = [{"code": "weight", "valueInteger": 7}, {"code": "colour", "valueString": "red"}]
    designations = [{"language": "de", "value": "Ah"}]
    concept = {"code": "a", "display": "A", "designation": designations, "property": kept}
    properties = [{"code": "weight", "type": "integer"}, {"code": "colour", "type": "string"}]
    Shelf(fhir, system={"resourceType": "CodeSystem", "status": "active", "content": "complete", "url": url,
                        "property": properties, "concept": [concept]})  # fmt: skip
    for query, wanted in (("", {"weight", "colour"}), ("&property=weight", {"weight"})):
        found = _asked(fhir, f"/CodeSystem/$lookup?system={url}&code=a{query}")
        parts = [each["part"] for each in found["parameter"] if each["name"] == "property"]
        codes = {part.get("valueCode") for each in parts for part in each if part["name"] == "code"}
        expect(wanted <= codes and ("colour" in codes) is ("colour" in wanted), f"{query or 'all'}: {sorted(codes)}")
    whole = _asked(fhir, f"/CodeSystem/$lookup?system={url}&code=a")
    expect(any(each["name"] == "designation" for each in whole["parameter"]), "the designations are not given")


@terminology.check("O47", "codesystem-operation-subsumes.html")
def tells_which_code_is_above_which(fhir: Fhir) -> None:
    _need(fhir, "CodeSystem", "subsumes")
    path = f"/CodeSystem/$subsumes?system={_ROLES}"
    if fhir.get(encoded(f"{path}&codeA=PRN&codeB=MTH")).status == 404:
        raise Skipped("v3 RoleCode is not known here")
    pairs = {"PRN MTH": "subsumes", "MTH PRN": "subsumed-by", "MTH MTH": "equivalent", "MTH FRND": "not-subsumed"}
    for pair, outcome in pairs.items():
        one, other = pair.split()
        found = value_of(_asked(fhir, f"{path}&codeA={one}&codeB={other}"), "outcome")
        expect(found == outcome, f"{one} to {other} is {found}, expected {outcome}")
    refused(fhir.get(encoded(f"{path}&codeA=PRN&codeB=lilac")), 400, 404, 422)
    refused(fhir.get("/CodeSystem/$subsumes?system=http://example.org/none&codeA=a&codeB=b"), 400, 404, 422)


@terminology.check("O48", "conceptmap-operation-translate.html")
def translates_codes(fhir: Fhir) -> None:
    _need(fhir, "ConceptMap", "translate")
    ours, theirs = "http://example.org/ours", "http://example.org/theirs"
    url = f"http://example.org/ConceptMap/{fhir.unique()}"
    elements = [
        {"code": "a", "target": [{"code": "A", "equivalence": "equivalent"}]},
        {"code": "b", "target": [{"code": "B", "equivalence": "disjoint"}]},
    ]
    shelf = Shelf(fhir, map={"resourceType": "ConceptMap", "status": "active", "url": url,
                             "group": [{"source": ours, "target": theirs, "element": elements}]})  # fmt: skip
    found = _asked(fhir, f"/ConceptMap/$translate?url={url}&system={ours}&code=a")
    expect(value_of(found, "result") is True, "a code with an equivalent is not translated")
    match = value_of(found, "match")
    parts = {each["name"]: each for each in match} if isinstance(match, list) else {}
    expect(parts.get("equivalence", {}).get("valueCode") == "equivalent", "the match lacks its equivalence")
    expect(parts.get("concept", {}).get("valueCoding", {}).get("code") == "A", "the match lacks its concept")
    for query in (f"code=b&system={ours}", f"code=z&system={ours}"):
        result = value_of(_asked(fhir, f"/ConceptMap/$translate?url={url}&{query}"), "result")
        expect(result is False, f"{query} is translated: {result}")
    back = _asked(fhir, f"/{shelf['map']}/$translate?system={theirs}&code=A&reverse=true")
    expect(value_of(back, "result") is True, "reverse does not translate back")
    refused(fhir.get(f"/ConceptMap/$translate?url={url}"), 400, 422)
