"""Searches by each type of parameter, with each modifier and prefix, beside what they should find."""

from __future__ import annotations

from tests.contract.brute_force import (
    ADDRESS,
    NAME,
    Holds,
    at,
    beginning,
    both,
    coded,
    dated,
    either,
    equal,
    exactly,
    having,
    holding,
    identified,
    measured,
    negated,
)

LOINC, SNOMED, UCUM = "http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org"
GENDER = "http://hl7.org/fhir/administrative-gender"
SYNTHEA = "https://github.com/synthetichealth/synthea"
CODE, COMPONENT_CODE = "code.coding", "component.code.coding"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"


Case = tuple[str, Holds]

TOKENS: list[Case] = [
    ("Patient?gender=female", equal("gender", "female")),
    ("Patient?gender=FEMALE", equal("gender", "female")),
    ("Patient?gender=male,female", having("gender")),
    (f"Patient?gender={GENDER}|male", equal("gender", "male")),
    ("Patient?gender:not=female", negated(equal("gender", "female"))),
    ("Patient?gender:missing=true", negated(having("gender"))),
    ("Patient?gender:missing=false", having("gender")),
    ("Patient?deceased=true", either(equal("deceasedBoolean", True), having("deceasedDateTime"))),
    ("Patient?deceased=false", negated(either(equal("deceasedBoolean", True), having("deceasedDateTime")))),
    (f"Patient?identifier={SYNTHEA}|", identified(system=SYNTHEA)),
    ("Patient?telecom=555-836-9798", lambda r: any(each.get("value") == "555-836-9798" for each in at(r, "telecom"))),
    ("Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|9b6fa8e6-e618-17c5-28a8-1095559fd19b",
     equal("id", "9b6fa8e6-e618-17c5-28a8-1095559fd19b")),
    ("Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|SS|9b6fa8e6-e618-17c5-28a8-1095559fd19b",
     equal("id", "")),
    ("Patient?identifier:text=social", beginning("social", "identifier.type.text")),
    ("Observation?code=8302-2", coded(CODE, "8302-2")),
    (f"Observation?code={LOINC}|8302-2", coded(CODE, "8302-2", LOINC)),
    (f"Observation?code={SNOMED}|8302-2", coded(CODE, "8302-2", SNOMED)),
    ("Observation?code=|8302-2", coded(CODE, "8302-2", "")),
    (f"Observation?code={LOINC}|", coded(CODE, system=LOINC)),
    ("Observation?code=8302-2,29463-7,8867-4",
     either(coded(CODE, "8302-2"), coded(CODE, "29463-7"), coded(CODE, "8867-4"))),
    ("Observation?code=8302-2&code=29463-7", both(coded(CODE, "8302-2"), coded(CODE, "29463-7"))),
    ("Observation?code:not=8302-2", negated(coded(CODE, "8302-2"))),
    ("Observation?code:not=8302-2,29463-7", negated(either(coded(CODE, "8302-2"), coded(CODE, "29463-7")))),
    ("Observation?code:text=body", beginning("body", "code.text", "code.coding.display")),
    ("Observation?category=vital-signs", coded("category.coding", "vital-signs")),
    ("Observation?category:not=vital-signs&status=final",
     both(negated(coded("category.coding", "vital-signs")), equal("status", "final"))),
    ("Observation?status:not=final", negated(equal("status", "final"))),
    ("Observation?value-concept:missing=false", having("valueCodeableConcept")),
    ("Observation?combo-code=8480-6", either(coded(CODE, "8480-6"), coded(COMPONENT_CODE, "8480-6"))),
    ("Observation?component-code=8480-6", coded(COMPONENT_CODE, "8480-6")),
    ("Observation?component-code:missing=false", having("component.code")),
    ("Condition?clinical-status=resolved", coded("clinicalStatus.coding", "resolved")),
    (f"Condition?clinical-status={CLINICAL}|active", coded("clinicalStatus.coding", "active", CLINICAL)),
    ("Encounter?class=AMB", lambda r: r["class"]["code"] == "AMB"),
    ("Encounter?class=amb", lambda r: r["class"]["code"] == "AMB"),
    ("DiagnosticReport?code=51847-2", coded(CODE, "51847-2")),
    ("DiagnosticReport?code:not=51847-2", negated(coded(CODE, "51847-2"))),
    ("MedicationRequest?intent=order&status=active,completed",
     both(equal("intent", "order"), equal("status", "active", "completed"))),
]  # fmt: skip

STRINGS: list[Case] = [
    ("Patient?name=s", beginning("s", *NAME)),
    ("Patient?family=SHAN", beginning("shan", "name.family")),
    ("Patient?family=bermudez", beginning("bermudez", "name.family")),
    ("Patient?family=Bermúdez", beginning("bermudez", "name.family")),
    ("Patient?family:exact=Bermúdez789", exactly("Bermúdez789", "name.family")),
    ("Patient?family:exact=bermúdez789", exactly("bermúdez789", "name.family")),
    ("Patient?family:contains=er", holding("er", "name.family")),
    ("Patient?given=a,b", either(beginning("a", "name.given"), beginning("b", "name.given"))),
    ("Patient?given:contains=ri", holding("ri", "name.given")),
    ("Patient?name:exact=Mrs.", exactly("Mrs.", *NAME)),
    ("Patient?name:missing=false", having("name")),
    ("Patient?address=ma", beginning("ma", *ADDRESS)),
    ("Patient?address:contains=street", holding("street", *ADDRESS)),
    ("Patient?address-city=east  douglas", beginning("east douglas", "address.city")),
    ("Patient?address-state=MA", beginning("MA", "address.state")),
    ("Patient?address-postalcode:missing=true", negated(having("address.postalCode"))),
    ("Organization?name=hospital", beginning("hospital", "name")),
    ("Organization?name:contains=hospital", holding("hospital", "name", "alias")),
    ("Practitioner?family:contains=23", holding("23", "name.family")),
]

OBSERVED = ("effectiveDateTime", "effectivePeriod", "effectiveInstant")
DATES: list[Case] = [
    *((f"Observation?date={prefix}{value}", dated(prefix + value, *OBSERVED))
      for prefix in ("", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
      for value in ("2015", "2014-02", "2016-06-15", "2013-01-01T00:00Z", "2015-03-14T21:29:46Z")),
    *((f"Encounter?date={prefix}{value}", dated(prefix + value, "period"))
      for prefix in ("", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
      for value in ("2012", "2014-02", "2013-09-24T22:29:46Z")),
    *((f"Patient?birthdate={prefix}{value}", dated(prefix + value, "birthDate"))
      for prefix in ("", "ne", "gt", "lt", "ge", "le", "sa", "eb")
      for value in ("1980", "1960-06", "2011-07-12")),
    *((f"CarePlan?date={prefix}2015", dated(prefix + "2015", "period"))
      for prefix in ("", "ne", "gt", "lt", "ge", "le", "sa", "eb")),
    ("Observation?date=2012,2014", either(dated("2012", *OBSERVED), dated("2014", *OBSERVED))),
    ("Observation?date=ge2012-03&date=lt2014-05", both(dated("ge2012-03", *OBSERVED), dated("lt2014-05", *OBSERVED))),
    ("Patient?death-date:missing=false", having("deceasedDateTime")),
    ("Condition?abatement-date:missing=true", negated(having("abatementDateTime"))),
    ("Condition?onset-date=ge2010&abatement-date=lt2015",
     both(dated("ge2010", "onsetDateTime"), dated("lt2015", "abatementDateTime"))),
]  # fmt: skip

COMPONENT = "component.valueQuantity"
QUANTITIES: list[Case] = [
    *((f"Observation?value-quantity={prefix}{value}", measured(prefix + value))
      for prefix in ("", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
      for value in ("70", "70.0", "13.25")),
    (f"Observation?value-quantity=gt100|{UCUM}|cm", measured("gt100", unit="cm", system=UCUM)),
    (f"Observation?value-quantity=70|{UCUM}|kg", measured("70", unit="kg", system=UCUM)),
    ("Observation?value-quantity=lt20||kg/m2", measured("lt20", unit="kg/m2")),
    ("Observation?value-quantity=ge90||%25", measured("ge90", unit="%")),
    ("Observation?value-quantity=70,80", either(measured("70"), measured("80"))),
    ("Observation?value-quantity:missing=true", negated(having("valueQuantity"))),
    ("Observation?component-value-quantity=gt140", measured("gt140", COMPONENT)),
    ("Observation?combo-value-quantity=gt140", either(measured("gt140"), measured("gt140", COMPONENT))),
]  # fmt: skip


def component(code: str, condition: str) -> Holds:
    return lambda r: any(coded(CODE, code)(each) and measured(condition)(each) for each in at(r, "component"))


COMPOSITES: list[Case] = [
    ("Observation?code-value-quantity=8302-2$gt150", both(coded(CODE, "8302-2"), measured("gt150"))),
    (f"Observation?code-value-quantity={LOINC}|8302-2$gt150|{UCUM}|cm",
     both(coded(CODE, "8302-2", LOINC), measured("gt150", unit="cm", system=UCUM))),
    ("Observation?code-value-quantity=8302-2$gt150,29463-7$lt60",
     either(both(coded(CODE, "8302-2"), measured("gt150")), both(coded(CODE, "29463-7"), measured("lt60")))),
    ("Observation?component-code-value-quantity=8480-6$gt130", component("8480-6", "gt130")),
    ("Observation?component-code-value-quantity=8462-4$gt130", component("8462-4", "gt130")),
    ("Observation?component-code-value-quantity=8480-6$lt115,8462-4$gt85",
     either(component("8480-6", "lt115"), component("8462-4", "gt85"))),
    ("Observation?combo-code-value-quantity=8480-6$gt130,8302-2$gt150",
     either(component("8480-6", "gt130"), both(coded(CODE, "8302-2"), measured("gt150")))),
    ("Observation?code-value-date=8302-2$gt2010", lambda r: False),
    ("Observation?code-value-concept=72166-2$266919005",
     both(coded(CODE, "72166-2"), coded("valueCodeableConcept.coding", "266919005"))),
]  # fmt: skip

OTHERS: list[Case] = [
    ("Patient?_profile=http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient", having("meta.profile")),
    ("Patient?_profile:below=http://hl7.org/fhir/us/core", having("meta.profile")),
    (
        "Observation?_profile=http://hl7.org/fhir/StructureDefinition/vitalsigns",
        equal("meta.profile", "http://hl7.org/fhir/StructureDefinition/vitalsigns"),
    ),
    ("Observation?_profile:missing=true", negated(having("meta.profile"))),
    ("Observation?_tag:missing=true", lambda r: True),
    ("Encounter?subject:missing=true", negated(having("subject"))),
    ("DiagnosticReport?result:missing=false", having("result")),
    ("Procedure?reason-reference:missing=false", having("reasonReference")),
    ("Patient?_text=generated", lambda r: True),
]
