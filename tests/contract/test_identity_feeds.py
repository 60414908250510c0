"""Identity feeds on every record store: registered, revised and merged by ITI-8, ITI-44 and ITI-104 alike."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import pytest
from lxml import etree

from profiles.china import citizen
from server.access.roles import NURSE
from server.access.roles import SYSTEM as ROLE
from server.fhir.json_form import decode
from server.kernel.context import ANY, INTERACTIONS, LOCAL_ACTOR, Actor, Context, Grant
from server.kernel.problem import Kind, Problem
from server.kernel.trail import Trail
from server.mpi.following import Following
from server.mpi.identity import Identifier, PatientIdentity
from server.mpi.institutions import Institution
from server.xds.datatypes import Cx
from server.xds.ebxml_writing import escape, write_object
from server.xds.vocabulary import LCM, QUERY, RIM
from tests.contract.conftest import Archive
from tests.data import xds_objects
from tests.xds_corpus.node import AUTHORITY, Node, open_node

SYSTEM = f"urn:oid:{AUTHORITY}"
HOSPITAL = "1.2.156.7"
FIND = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
APPROVED = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
CONTEXT = Context(LOCAL_ACTOR, "feeds", trail=Trail())
Way = Literal["ITI-8", "ITI-44", "ITI-104"]
V3 = "urn:hl7-org:v3"


@dataclass
class Region:
    archive: Archive
    node: Node

    def tell(self, event: str, *segments: str, **named: str) -> str:
        """Code and control id are left out of what is not accepted."""
        return self.archive.run(self.node.tell(event, *segments, **named)).partition("|")[0]

    def person(self, number: str, system: str = SYSTEM) -> PatientIdentity | None:
        return self.archive.run(self.node.index.resolve(Identifier(system, number)))

    def patient(self, number: str, system: str = SYSTEM) -> dict[str, Any]:
        found = self.person(number, system)
        assert found is not None
        id = found.patients[0].removeprefix("Patient/")
        return decode(self.archive.run(self.node.fhir.repository.read(CONTEXT, "Patient", id)).body)

    def merge(self, way: Way, into: str, out: str) -> bool:
        """Whether it was accepted."""
        match way:
            case "ITI-8":
                return self.tell("A40", f"PID|||{cx(into)}", f"MRG|{cx(out)}") == "AA"
            case "ITI-44":
                return self.told("PRPA_IN201304UV02", into, out) == "CA"
            case "ITI-104":
                return self.archive.run(self._put(into, out))

    def told(self, interaction: str, number: str, replaced: str = "", root: str = AUTHORITY) -> str:
        """The acknowledgement of a message with one registration event."""
        answer = self.archive.run(
            self.node.send("/xds/registry", f"{V3}:{interaction}", version_3(interaction, number, replaced, root))
        )
        assert answer.http == 200
        assert etree.QName(answer.body).localname == "MCCI_IN000002UV01"
        return str(answer.body.find(f".//{{{V3}}}typeCode").get("code"))  # type: ignore[union-attr]

    async def _put(self, into: str, out: str) -> bool:
        repository = self.node.fhir.repository
        following = Following(self.node.index, repository.records, self.node.source.feed.institutions)
        link = {"other": {"identifier": {"system": SYSTEM, "value": into}}, "type": "replaced-by"}
        sent: dict[str, Any] = {
            "resourceType": "Patient",
            "identifier": [{"system": SYSTEM, "value": out}],
            "link": [link],
        }
        sent["name"] = [{"family": "Test", "given": [out]}]
        try:
            criteria = await following.criteria(CONTEXT, f"identifier={SYSTEM}|{out}")
            asked = await following.asked(CONTEXT, sent, criteria)
            written = await repository.update_matching(CONTEXT, "Patient", criteria, asked)
            await following.written(CONTEXT, written.stored, is_fed=True)
        except Problem:
            return False
        return True

    def publish(self, number: str) -> None:
        """A document of this patient."""
        made = xds_objects.submission(
            xds_objects.document(patient_id=cx(number)), patient_id=cx(number)
        )  # fmt: skip
        objects = b"".join(map(write_object, (*made.submission_sets, *made.documents, *made.associations)))
        body = f'<l:SubmitObjectsRequest xmlns:l="{LCM}"><rim:RegistryObjectList xmlns:rim="{RIM}">'.encode()
        body += objects + b"</rim:RegistryObjectList></l:SubmitObjectsRequest>"
        action = "urn:ihe:iti:2007:RegisterDocumentSet-b"
        answer = self.archive.run(self.node.send("/xds/registry", action, body))
        assert (answer.status, answer.errors) == ("Success", [])

    def documents(self, number: str) -> list[str]:
        """Under which patient id each document is answered that a query for this one finds."""
        slots = {"$XDSDocumentEntryPatientId": f"'{cx(number)}'", "$XDSDocumentEntryStatus": f"('{APPROVED}')"}
        body = f'<q:AdhocQueryRequest xmlns:q="{QUERY}" xmlns:r="{RIM}"><q:ResponseOption returnType="LeafClass"/>'
        body += f'<r:AdhocQuery id="{FIND}">'
        for name, value in slots.items():
            body += f'<r:Slot name="{name}"><r:ValueList><r:Value>{escape(value)}</r:Value></r:ValueList></r:Slot>'
        body += "</r:AdhocQuery></q:AdhocQueryRequest>"
        action = "urn:ihe:iti:2007:RegistryStoredQuery"
        answer = self.archive.run(self.node.send("/xds/registry", action, body.encode()))
        scheme = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"
        identifiers = answer.body.iter(f"{{{RIM}}}ExternalIdentifier")
        return [str(each.get("value")) for each in identifiers if each.get("identificationScheme") == scheme]


def cx(number: str, authority: str = AUTHORITY) -> str:
    return str(Cx(number, authority))


def version_3(interaction: str, number: str, replaced: str, root: str) -> bytes:
    prior = (
        f'<replacementOf><priorRegistration><subject1><priorRegisteredRole><id root="{root}" extension="{replaced}"/>'
        "</priorRegisteredRole></subject1></priorRegistration></replacementOf>"
    )
    return (
        f'<{interaction} xmlns="{V3}"><id root="1.2" extension="{uuid4().hex}"/><processingCode code="P"/>'
        '<sender><device><id root="1.9"/></device></sender><receiver><device><id root="1.8"/></device></receiver>'
        "<controlActProcess><subject><registrationEvent><subject1><patient>"
        f'<id root="{root}" extension="{number}"/><patientPerson><name><family>张</family><given>伟</given></name>'
        '<administrativeGenderCode code="M"/><birthTime value="19700131"/><telecom value="tel:123456789" use="HP"/>'
        f"</patientPerson></patient></subject1>{prior if replaced else ''}</registrationEvent></subject>"
        f"</controlActProcess></{interaction}>"
    ).encode()


@pytest.fixture
def region(archive: Archive, tmp_path: Path) -> Region:
    (tmp_path / "blobs").mkdir()
    return Region(archive, archive.run(open_node(archive.open(), archive.threads, tmp_path / "blobs")))


def test_a_source_registers_and_revises(region: Region) -> None:
    named = "PID|||P1^^^HIS&{0}&ISO~7^^^OTHER&1.2.99&ISO||欧阳^明||19800229|F|||长安街1号^^北京^^100000^CN||13900001111"
    assert region.tell("A01", named.format(AUTHORITY), charset="GB 18030-2000", codec="gb18030") == "AA"
    patient = region.patient("P1")
    assert patient["name"] == [{"family": "欧阳", "given": ["明"]}]
    assert (patient["gender"], patient["birthDate"]) == ("female", "1980-02-29")
    assert [each["value"] for each in patient["identifier"]] == ["P1"]

    assert region.tell("A08", f"PID|||{cx('P1')}||欧阳^敏") == "AA"
    revised = region.patient("P1")
    assert (revised["id"], revised["name"]) == (patient["id"], [{"family": "欧阳", "given": ["敏"]}])
    assert region.told("PRPA_IN201302UV02", "P1") == "CA"
    assert region.patient("P1")["name"] == [{"family": "张", "given": ["伟"]}]
    assert region.told("PRPA_IN201301UV02", "P2") == "CA"
    assert region.patient("P2")["telecom"] == [{"system": "phone", "value": "123456789", "use": "home"}]


def test_only_registered_authorities_are_heard(region: Region) -> None:
    foreign = f"PID|||4711^^^&{HOSPITAL}&ISO||Li^Lei"
    assert region.tell("A04", foreign) == "AE"
    assert region.told("PRPA_IN201301UV02", "4711", root=HOSPITAL) == "CE"
    institutions = region.node.source.feed.institutions
    region.archive.run(institutions.add(CONTEXT, Institution("H7", "Seventh Hospital", HOSPITAL)))
    assert region.tell("A04", foreign) == "AA"
    assert region.patient("4711", f"urn:oid:{HOSPITAL}")["name"] == [{"family": "Li", "given": ["Lei"]}]
    assert region.tell("A04", f"PID|||4712^^^&{HOSPITAL}&ISO") == "AA"
    assert region.tell("A40", f"PID|||4711^^^&{HOSPITAL}&ISO", f"MRG|4712~4712^^^&{HOSPITAL}&ISO") == "AA"
    found = region.person("4711", f"urn:oid:{HOSPITAL}")
    assert found is not None
    assert len(found.patients) == 2


@pytest.mark.parametrize("way", ["ITI-8", "ITI-44", "ITI-104"])
def test_documents_follow_a_chain_of_merges_and_come_back(region: Region, way: Way) -> None:
    for number in "ABC":
        assert region.tell("A01", f"PID|||{cx(number)}||Test^{number}") == "AA"
    region.publish("A")
    assert region.documents("A") == [cx("A")]
    assert region.merge(way, "B", "A")
    assert region.merge(way, "C", "B")
    assert region.documents("C") == [cx("C")]
    found = region.person("A")
    assert found is not None
    assert found.number == Identifier(SYSTEM, "C")
    assert {each.value for each in found.former} == {"A", "B"}

    index, [subsumed] = region.node.index, [each for each in found.patients if _says(region, each, "A")]
    assert _is_active(region, subsumed) is False
    told = region.archive.run(index.history(CONTEXT, subsumed))
    assert region.merge(way, "C", "B")
    assert region.archive.run(index.history(CONTEXT, subsumed)) == told
    for survivor, other in (("A", "C"), ("A", "A")):
        assert not region.merge(way, survivor, other)
    assert region.person("A") == found

    last = next(each for each in told if each.act.kind == "merge" and each.act.other == "B")
    region.archive.run(index.undo(CONTEXT, last.id))
    assert (region.documents("C"), region.documents("B")) == ([], [cx("B")])


def _says(region: Region, patient: str, number: str) -> bool:
    held = decode(region.archive.run(region.node.fhir.repository.read(CONTEXT, "Patient", patient[8:])).body)
    return any(each.get("given") == [number] for each in held.get("name", ()))


def _is_active(region: Region, patient: str) -> bool:
    return bool(
        decode(region.archive.run(region.node.fhir.repository.read(CONTEXT, "Patient", patient[8:])).body)["active"]
    )


def feeding(*authorities: str) -> Context:
    """A system that may do what it likes with Patients, and feeds those of these authorities."""
    return Context(
        Actor("north", "north", (Grant(INTERACTIONS),), frozenset({ROLE}), feeds=frozenset(authorities)),
        "north",
        trail=Trail(),
    )


def test_a_sender_feeds_identities_of_the_authorities_named_for_it_and_no_others(region: Region) -> None:
    feed, own = region.node.source.feed, f"urn:oid:{HOSPITAL}"
    region.archive.run(feed.institutions.add(CONTEXT, Institution("H7", "Seventh Hospital", HOSPITAL)))
    for number in "AB":
        region.tell("A01", f"PID|||{cx(number)}")
    north, number = feeding(HOSPITAL), Identifier(own, "4711")
    everybody = [Identifier(SYSTEM, "A"), number, Identifier(citizen.SYSTEM, "11010519491231002X")]

    fed = region.archive.run(feed.register(north, {}, everybody))
    assert fed.is_new
    carried = region.patient("4711", own)["identifier"]
    assert {each["system"]: each["value"] for each in carried} == {
        own: "4711", citizen.SYSTEM: "11010519491231002X", SYSTEM: fed.identity.number.value,
    }  # fmt: skip
    assert fed.identity.number.value != "A"
    region.archive.run(feed.register(feeding("1.2.3", ANY), {}, [number]))

    for context in (north, feeding(), feeding("1.2.156")):
        for work in (
            feed.register(context, {}, [Identifier(SYSTEM, "C")]),
            feed.merge(context, [Identifier(SYSTEM, "A")], [Identifier(SYSTEM, "B")]),
        ):
            assert "`weft node feeds`" in _refused(region, work)
        assert context.trail.reason
    assert HOSPITAL in _refused(region, feed.register(feeding(AUTHORITY), {}, [number]))
    assert [region.person(each) is None for each in "ABC"] == [False, False, True]


def _refused(region: Region, work: Coroutine[Any, Any, Any]) -> str:
    with pytest.raises(Problem) as raised:
        region.archive.run(work)
    assert raised.value.kind is Kind.FORBIDDEN
    return raised.value.text


def test_over_fhir_a_source_names_patients_by_identifiers_of_its_own_alone(region: Region) -> None:
    repository, institutions = region.node.fhir.repository, region.node.source.feed.institutions
    following = Following(region.node.index, repository.records, institutions)
    region.archive.run(institutions.add(CONTEXT, Institution("H7", "Seventh Hospital", HOSPITAL)))
    own, by_master = f"identifier=urn:oid:{HOSPITAL}|1", f"identifier={SYSTEM}|A"
    replaced = {"link": [{"type": "replaced-by", "other": {"identifier": {"system": SYSTEM, "value": "A"}}}]}
    for query, sent in ((by_master, {}), (f"identifier=x|1,{SYSTEM}|A", {}), (own, replaced)):
        assert AUTHORITY in _refused(region, following.check_feed(feeding(HOSPITAL), query, sent))
        region.archive.run(following.check_feed(feeding(HOSPITAL, AUTHORITY), query, sent))
    for query in (own, "identifier=http://elsewhere.example|1"):
        region.archive.run(following.check_feed(feeding(HOSPITAL), query, {"link": [{"type": "seealso"}]}))

    sent = {"resourceType": "Patient", "identifier": [{"system": f"urn:oid:{HOSPITAL}", "value": "1"}]}
    written = region.archive.run(repository.create(CONTEXT, "Patient", sent)).stored
    for context, is_known in ((feeding("1.2.156"), False), (feeding(HOSPITAL), True)):
        region.archive.run(following.written(context, written, is_fed=True))
        assert (region.person("1", f"urn:oid:{HOSPITAL}") is not None) is is_known


def test_over_fhir_a_source_calls_its_patients_by_no_numbers_of_others(region: Region) -> None:
    """Who carries somebody's number is taken for that person."""
    repository, institutions = region.node.fhir.repository, region.node.source.feed.institutions
    following, own = Following(region.node.index, repository.records, institutions), f"urn:oid:{HOSPITAL}"
    for code, oid in (("H7", HOSPITAL), ("H8", "2.999.8")):
        region.archive.run(institutions.add(CONTEXT, Institution(code, code, oid)))
    region.tell("A01", f"PID|||{cx('A')}")
    mine, theirs = {"system": own, "value": "1"}, {"system": "urn:oid:2.999.8", "value": "1"}
    told = {"resourceType": "Patient", "identifier": [mine, {"system": citizen.SYSTEM, "value": "11010519491231002X"}]}
    query, master = f"identifier={own}|1", {"system": SYSTEM, "value": "A"}

    async def check(*others: object) -> None:
        sent = {**told, "identifier": [*told["identifier"], *others]}
        await following.check_feed(feeding(HOSPITAL), query, sent)

    for other, authority in ((theirs, "2.999.8"), (master, AUTHORITY)):
        assert authority in _refused(region, check(other))
    region.archive.run(check({"system": "http://elsewhere.example", "value": "1"}, {"value": "2"}, "no identifier"))
    with pytest.raises(Problem, match="by system and value"):
        region.archive.run(following.check_feed(feeding(HOSPITAL), f"{query},1", told))
    region.archive.run(following.check_feed(feeding(HOSPITAL), f"identifier={own}|a\\,1", told))
    region.archive.run(following.check_feed(feeding(ANY), "identifier=1", told))
    plain = {**told, "identifier": [theirs]}
    region.archive.run(following.check_feed(feeding(HOSPITAL), "identifier=http://elsewhere.example|1", plain))
    region.archive.run(repository.create(CONTEXT, "Patient", {**told, "identifier": [mine, theirs]}))
    region.archive.run(check(theirs))
    assert AUTHORITY in _refused(region, check(theirs, master))


def test_who_takes_a_persons_link_and_number_away_reads_them_in_the_answer(region: Region) -> None:
    """Consents follow links: there is no moment after the answer at which they do not."""
    repository, index = region.node.fhir.repository, region.node.index
    following = Following(index, repository.records, region.node.source.feed.institutions)
    for number in "AB":
        region.tell("A01", f"PID|||{cx(number)}")
    leading, other = (region.patient(number) for number in "AB")
    region.archive.run(index.link(CONTEXT, f"Patient/{leading['id']}", f"Patient/{other['id']}"))
    for sent in (leading, other):
        bare = {"resourceType": "Patient", "id": sent["id"], "gender": "female"}
        written = region.archive.run(repository.update(CONTEXT, "Patient", sent["id"], bare)).stored
        assert b'"link"' not in written.body
        told = decode(region.archive.run(following.written(CONTEXT, written, is_fed=False)).body)
        assert told["gender"] == "female"
        assert SYSTEM in {each["system"] for each in told["identifier"]}
        linked = [each["other"]["reference"] for each in told.get("link", ())]
        assert linked == ([] if sent is leading else [f"Patient/{leading['id']}"])
        again = region.archive.run(repository.update(CONTEXT, "Patient", sent["id"], told)).stored
        assert region.archive.run(following.written(CONTEXT, again, is_fed=False)) is again


def test_whom_a_source_may_not_change_it_does_not_know(region: Region) -> None:
    for number in "AB":
        region.tell("A01", f"PID|||{cx(number)}")
    mine = region.patient("A")["id"]
    actor = Actor(
        "narrow", "narrow", (Grant(INTERACTIONS, patient=mine),), frozenset({NURSE}), feeds=frozenset({AUTHORITY})
    )
    context, feed = Context(actor, "narrow", trail=Trail()), region.node.source.feed
    into, out = Identifier(SYSTEM, "A"), Identifier(SYSTEM, "B")
    with pytest.raises(Problem) as raised:
        region.archive.run(feed.merge(context, [into], [out]))
    assert raised.value.kind is Kind.NOT_FOUND
    index = region.node.index
    assert region.archive.run(index.cross_references(context, out)) is None
    assert region.archive.run(index.bearers(context, out)) == []
    assert region.archive.run(index.bearers(context, into)) == [f"Patient/{mine}"]
