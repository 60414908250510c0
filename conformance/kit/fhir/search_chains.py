"""Chains and `_has` (FHIR R4 3.1.1.4.15 and 16)."""

from __future__ import annotations

from conformance.kit.fhir.section import Section
from conformance.kit.fhir.session import TAGS, Fhir, Resource, entries
from conformance.kit.fhir.shelf import Shelf
from conformance.kit.verdict import Skipped, expect

chains = Section()


def organization(name: str, **members: object) -> Resource:
    return {"resourceType": "Organization", "name": name, **members}


def person(family: str, organization: str | None = None, **members: object) -> Resource:
    managed = {"managingOrganization": {"reference": organization}} if organization else {}
    return {"resourceType": "Patient", "name": [{"family": family}], **managed, **members}


def seen(subject: str, code: str = "one", **members: object) -> Resource:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://example.org/codes", "code": code}]},
        "subject": {"reference": subject},
        **members,
    }


def ward(fhir: Fhir) -> Shelf:
    """A hospital within a trust; two patients there, one elsewhere; what was seen of them."""
    shelf = Shelf(fhir, trust=organization("Trust"))
    shelf.add("clinic", organization("Clinic", partOf={"reference": shelf["trust"]}))
    shelf.add("anna", person("Quell", shelf["clinic"], gender="female"))
    shelf.add("otto", person("Strom", shelf["clinic"], gender="male"))
    shelf.add("nora", person("Quell", gender="female"))
    shelf.add("anna1", seen(shelf["anna"]))
    shelf.add("anna2", seen(shelf["anna"], "two"))
    shelf.add("otto1", seen(shelf["otto"]))
    shelf.add("nora2", seen(shelf["nora"], "two"))
    return shelf


@chains.check("S110", "search.html#chaining")
def follows_chains(fhir: Fhir) -> None:
    shelf = ward(fhir)
    shelf.finds_all(
        "Observation?",
        {
            "subject:Patient.family=quell": "anna1 anna2 nora2",
            "patient.family=quell": "anna1 anna2 nora2",
            "patient.family=quell&patient.gender=male": "",
            "patient.family=quell,strom": "anna1 anna2 otto1 nora2",
            "patient.organization.name=clinic": "anna1 anna2 otto1",
            "subject:Patient.organization:Organization.partof.name=trust": "anna1 anna2 otto1",
            "patient.family:exact=Quell&code=two": "anna2 nora2",
            f"patient._id={shelf.id('otto')}": "otto1",
            f"patient._tag={TAGS}|{shelf.token}&code=one": "anna1 otto1",
            "patient._lastUpdated=ge2020-01-01&code=one": "anna1 otto1",
            "patient._lastUpdated=lt2020-01-01": "",
            "patient.organization:missing=true": "nora2",
            "patient.gender:not=female": "otto1",
        },
    )


@chains.check("S111", "search.html#chaining")
def tries_every_type_an_untyped_chain_may_lead_to(fhir: Fhir) -> None:
    shelf = ward(fhir)
    shelf.add(
        "flock", {"resourceType": "Group", "type": "person", "actual": True, "identifier": [{"value": "flock-7"}]}
    )
    shelf.add("ofFlock", seen(shelf["flock"]))
    if shelf.ask("Observation?subject.identifier=flock-7").status == 400:
        raise Skipped("untyped chains over several types are refused")
    shelf.finds_all("Observation?", {"subject.identifier=flock-7": "ofFlock", "subject.family=strom": "otto1"})


@chains.check("S113", "search.html#contained")
def chains_into_contained_resources(fhir: Fhir) -> None:
    inside = {"resourceType": "Patient", "id": "p", "name": [{"family": "Inner"}], "gender": "female"}
    shelf = Shelf(fhir, outer=person("Inner"))
    shelf.add("contained", seen("#p", contained=[inside]))
    shelf.add("referred", seen(shelf["outer"]))
    shelf.finds_all(
        "Observation?",
        {
            "patient.family=inner": "contained referred",
            "subject:Patient.gender=female": "contained",
            "patient.family=inner&patient.gender=female": "contained",
            "patient.family=other": "",
        },
    )


@chains.check("S113", "search.html#contained")
def chains_through_contained_resources(fhir: Fhir) -> None:
    shelf = Shelf(fhir, clinic=organization("Clinic"))
    inside = {"resourceType": "Patient", "id": "p", "managingOrganization": {"reference": shelf["clinic"]}}
    shelf.add("contained", seen("#p", contained=[inside]))
    shelf.finds_all(
        "Observation?", {"patient.organization.name=clinic": "contained", "patient.organization.name=no": ""}
    )


@chains.check("S113", "search.html#versions")
def warns_of_chains_through_a_version(fhir: Fhir) -> None:
    shelf = Shelf(fhir, anna=person("Before"))
    shelf.add("versioned", seen(f"{shelf['anna']}/_history/1"))
    shelf.put("anna", {**person("After"), "id": shelf.id("anna")})
    shelf.finds("Observation?patient.family=before", "")
    bundle = shelf.search("Observation?patient.family=after")
    expect(
        shelf.names(bundle) == ["versioned"], "a chain through a versioned reference does not use the current version"
    )
    expect(len(entries(bundle, "outcome")) == 1, "nothing warns that a version was passed over")


@chains.check("S120", "search.html#has")
def searches_in_reverse(fhir: Fhir) -> None:
    shelf = ward(fhir)
    shelf.finds_all(
        "Patient?",
        {
            "_has:Observation:patient:code=two": "anna nora",
            "_has:Observation:subject:code=one,two": "anna otto nora",
            "_has:Observation:patient:code=one&_has:Observation:patient:code=two": "anna",
            f"_has:Observation:patient:_id={shelf.id('otto1')}": "otto",
            f"_has:Observation:patient:code=two&_id={shelf.id('nora')}": "nora",
            "_has:Observation:patient:code=three": "",
        },
    )
    shelf.finds_all(
        "Organization?",
        {
            "_has:Patient:organization:_has:Observation:patient:code=two": "clinic",
            "_has:Organization:partof:_has:Patient:organization:family=strom": "trust",
        },
    )
    shelf.finds("Observation?patient._has:Observation:patient:code=two&code=one", "anna1")


@chains.check("S121", "search.html#has")
def refuses_chains_that_lead_nowhere(fhir: Fhir) -> None:
    Shelf(fhir).refuses(
        "Observation?patient.shoesize=43", "Observation?subject:Sofa.name=x", "Observation?patient:Group.name=x",
        "Observation?code.name=x", "Patient?_has:Sofa:patient:code=x", "Patient?_has:Observation:shoe:code=x",
        "Patient?_has:Observation:patient:shoesize=43", "Patient?_has:Observation:code:status=final",
        "Patient?_has:Observation=x",
    )  # fmt: skip


@chains.check("S122", "search.html#has")
def sees_only_what_is_there_in_chains(fhir: Fhir) -> None:
    shelf = ward(fhir)
    shelf.remove("nora2")
    shelf.put("anna", {**person("Other", shelf["clinic"]), "id": shelf.id("anna")})
    shelf.finds_all("Patient?", {"_has:Observation:patient:code=two": "anna"})
    shelf.finds_all("Observation?", {"patient.family=quell": "", "patient.family=other": "anna1 anna2"})
    for query, count in (("Patient?_has:Observation:patient:code=two", 1), ("Observation?patient.family=other", 2)):
        total = shelf.search(f"{query}&_summary=count").get("total")
        expect(total == count, f"{query} counts {total}, expected {count}")
