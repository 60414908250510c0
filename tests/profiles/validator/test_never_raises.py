"""Whatever the JSON value, the validator answers with findings."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiles.definitions import definitions
from profiles.findings import Finding, Severity
from profiles.validator.options import Options
from tests.profiles.validator.small import PLAIN, validator

STRICT = validator(
    (),
    Options(
        unknown_extensions=Severity.ERROR,
        targets=Severity.ERROR,
        doubtful=Severity.ERROR,
        allow_examples=False,
        refuse_markup=True,
        refuse_markup_in_markdown=True,
        refuse_experimental=True,
        follow_references=True,
    ),
)

names = st.sampled_from(
    sorted({name for each in ("Observation", "Patient", "Bundle", "Extension", "StructureDefinition")
            for name in definitions().shape(each).members})
    + ["resourceType", "extension", "url", "contained", "meta", "reference", "coding", "code", "system", "div", "path"]
)  # fmt: skip
texts = st.sampled_from(
    ["", " ", "#", "#a", "Patient/1", "http://loinc.org", "8867-4", "85354-9", "Observation", "<div>", "2020-01-01",
     "http://hl7.org/fhir/StructureDefinition/bp", "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"]
) | st.text(max_size=8)  # fmt: skip
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.decimals(allow_nan=False) | texts
keys = names | names.map("_{}".format) | st.text(max_size=5)
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6), max_leaves=25
)
definitions_of_elements = st.dictionaries(
    st.sampled_from(
        [
            *definitions().shape("ElementDefinition").members,
            *definitions().shape("ElementDefinition.slicing").members,
            "sliceName", "slicing", "type", "binding", "constraint", "extension", "min", "max", "fixedCode",
        ]
    ),  # fmt: skip
    values | st.dictionaries(st.sampled_from(["code", "profile", "targetProfile", "valueSet", "strength", "url",
        "discriminator", "key", "expression", "extension", "path", "type", "rules"]), values, max_size=4)
    | st.lists(st.dictionaries(st.sampled_from(["code", "profile", "url", "path", "type", "key", "expression",
        "extension", "valueSet"]), values, max_size=3), max_size=2),
    max_size=5,
)  # fmt: skip
resources = st.builds(
    lambda kind, members: {"resourceType": kind, **members},
    st.sampled_from(definitions().resource_types),
    st.dictionaries(keys, values, max_size=8),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(values | resources)
def test_any_value_is_judged(value: Any) -> None:
    for each in (PLAIN, STRICT):
        found = each.validate(value, profiles=["http://hl7.org/fhir/StructureDefinition/vitalsigns"])
        assert all(isinstance(finding, Finding) for finding in found)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(definitions_of_elements, max_size=3))
def test_any_profile_is_borne(elements: list[dict[str, Any]]) -> None:
    structure = {
        "resourceType": "StructureDefinition",
        "url": "http://example.test/any",
        "type": "Observation",
        "derivation": "constraint",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Observation",
        "differential": {"element": [{"path": "Observation.code", **each} for each in elements]},
    }
    checker = validator([structure])
    resource = {"resourceType": "Observation", "status": "final", "code": {"coding": [{"code": "a"}]}}
    assert checker.validate(resource, profiles=["http://example.test/any"]) is not None
    assert checker.validate(structure) is not None
