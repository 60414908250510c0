"""SMART imaging access: section 13 of the SMART checks."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from conformance.kit.client import multipart
from tests.data.instances import instance
from tests.e2e.smart.apps import assertion
from tests.e2e.smart.stage import Json, Stage
from tests.e2e.smart.ward import NUMBER, STUDY

ANNA, BERT = STUDY["anna"], STUDY["bert"]
SCOPE = "launch/patient patient/Patient.rs patient/ImagingStudy.rs patient/Endpoint.rs"
ANY_DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
REQUIRES = "requires-access-token"
LABEL = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"

OF_INSTANCE = ("", "/metadata", "/frames/1", "/rendered", "/thumbnail", "/frames/1/rendered", "/bulkdata/7FE00010")
OF_STUDY = ("", "/metadata", "/rendered", "/thumbnail", "/series", "/instances", "/bulkdata")


def paths(study: str) -> list[str]:
    """Every form of retrieval of a study and what is below it."""
    series = f"/dicomweb/studies/{study}/series/{study}.1"
    one = f"{series}/instances/{study}.1.1"
    return [
        *(f"/dicomweb/studies/{study}{each}" for each in OF_STUDY),
        *(f"{series}{each}" for each in ("", "/metadata", "/rendered", "/thumbnail", "/instances")),
        *(f"{one}{each}" for each in OF_INSTANCE),
    ]


@pytest.fixture(scope="module")
def token(stage: Stage) -> str:
    return stage.token(SCOPE)


def studies(stage: Stage, token: str, query: str) -> list[Json]:
    answer = stage.get(f"/fhir/ImagingStudy?{query}", token)
    assert answer.status_code == 200, answer.text
    return [each["resource"] for each in answer.json().get("entry", [])]


@pytest.mark.parametrize("more", ["", "&_lastUpdated=gt2020-01-01", f"&identifier=urn:oid:{ANNA}"])
def test_g_i01_the_searches_of_the_draft(stage: Stage, token: str, more: str) -> None:
    found = studies(stage, token, f"patient=anna{more}")
    assert [each["resourceType"] for each in found] == ["ImagingStudy"]
    included = studies(stage, token, f"patient=anna{more}&_include=ImagingStudy:endpoint")
    assert sorted({each["resourceType"] for each in included}) == ["Endpoint", "ImagingStudy"]


def test_g_i02_a_study_has_what_it_must(stage: Stage, token: str) -> None:
    (study,) = studies(stage, token, "patient=anna")
    assert {"system": "urn:dicom:uid", "value": f"urn:oid:{ANNA}"} in [
        {"system": each.get("system"), "value": each["value"]} for each in study["identifier"]
    ]
    assert study["status"] == "available"
    assert study["subject"]["reference"] == "Patient/anna"
    assert study["modality"]
    assert study["endpoint"]


def test_g_i03_its_endpoint_tells_where_and_how(stage: Stage, token: str) -> None:
    found = studies(stage, token, "patient=anna&_include=ImagingStudy:endpoint")
    endpoints = [each for each in found if each["resourceType"] == "Endpoint"]
    for each in endpoints:
        assert each["connectionType"]["code"] == "dicom-wado-rs"
        assert each["address"].endswith("/dicomweb")
        (needs,) = [one for one in each["extension"] if one["url"].endswith(REQUIRES)]
        assert needs["valueBoolean"] is True


def test_g_i04_another_patient_is_refused(stage: Stage, token: str) -> None:
    for query in ("patient=bert", "patient=Patient/bert", "subject=Patient/bert", "patient=bert,anna"):
        assert stage.get(f"/fhir/ImagingStudy?{query}", token).status_code == 403
    agreed = stage.service_token("agreed", "system/ImagingStudy.rs")
    assert stage.get("/fhir/ImagingStudy?patient=bert", agreed).status_code == 403
    assert stage.get("/fhir/ImagingStudy?patient=anna", agreed).status_code == 200


def test_g_i05_what_may_not_be_seen_is_left_out(stage: Stage, token: str) -> None:
    found = studies(stage, token, "_include=ImagingStudy:endpoint")
    kept = [each for each in found if each["resourceType"] == "ImagingStudy"]
    assert [each["subject"]["reference"] for each in kept] == ["Patient/anna"]
    named = {one["reference"] for each in kept for one in each["endpoint"]}
    assert {f"Endpoint/{each['id']}" for each in found if each["resourceType"] == "Endpoint"} <= named
    assert studies(stage, token, f"identifier=urn:oid:{BERT}&_include=ImagingStudy:endpoint") == []


@pytest.mark.parametrize("path", paths(BERT))
def test_g_i06_every_form_makes_the_same_check(stage: Stage, token: str, path: str) -> None:
    own = path.replace(BERT, ANNA)
    first = stage.get(own, token).status_code
    assert stage.get(path).status_code == 401
    answer = stage.get(path, token)
    listing = path.endswith(("/series", "/instances"))
    assert answer.status_code in (403, 404) or (listing and answer.status_code in (200, 204) and not told(answer))
    assert first in (200, 204, 400, 404, 406), (own, first)
    if first == 200:
        assert stage.get(path, stage.token("user/*.rs")).status_code == 200


def told(answer: httpx.Response) -> Any:
    return answer.json() if answer.content else []


def test_g_i06_what_is_hidden_and_what_is_not_there_look_alike(stage: Stage, token: str) -> None:
    hidden, nothing = (stage.get(f"/dicomweb/studies/{each}/metadata", token) for each in (BERT, "2.25.99999"))
    assert hidden.status_code == nothing.status_code
    assert hidden.text.replace(BERT, "") == nothing.text.replace("2.25.99999", "")


@pytest.mark.parametrize("login", ["administrator", "auditor"])
def test_g_i06_roles_without_images_open_none(stage: Stage, login: str) -> None:
    closed = stage.token("user/*.cruds", login=login)
    for path in (*paths(ANNA), "/dicomweb/studies", "/dicomweb/series", "/dicomweb/instances"):
        assert stage.get(path, closed).status_code == 403, path
    assert stow(stage, closed, instance(1, study=7).data()).status_code == 403
    assert stage.call("DELETE", f"/dicomweb/studies/{ANNA}", closed).status_code == 403


def test_g_i06_one_study_does_not_open_another(stage: Stage, token: str) -> None:
    path = f"/dicomweb/studies/{ANNA}/series/{BERT}.1/instances/{BERT}.1.1"
    assert stage.get(path, token).status_code in (403, 404)


@pytest.fixture
def barred(stage: Stage) -> Iterator[str]:
    """Anna's second series, too confidential for a nurse; gives its UID."""
    whole = stage.service_token()
    (study,) = studies(stage, whole, f"identifier=urn:oid:{ANNA}")
    path = f"/fhir/ImagingStudy/{study['id']}"
    label = {"url": LABEL, "valueCoding": {"system": CONFIDENTIALITY, "code": "V"}}
    series = [{**each, "extension": [label]} if each["uid"] == f"{ANNA}.2" else each for each in study["series"]]
    answer = stage.call("PUT", path, whole, {**study, "series": series})
    assert answer.status_code == 200, answer.text
    yield f"{ANNA}.2"
    bare = [{name: value for name, value in each.items() if name != "extension"} for each in study["series"]]
    assert stage.call("PUT", path, whole, {**study, "series": bare}).status_code == 200


def test_g_i07_a_study_with_a_barred_part_is_refused_as_a_whole(stage: Stage, barred: str, token: str) -> None:
    answer = stage.get(f"/dicomweb/studies/{ANNA}", token, Accept=ANY_DICOM)
    assert answer.status_code == 403
    assert b"DICM" not in answer.content
    assert stage.get(f"/dicomweb/studies/{ANNA}/series/{barred}", token, Accept=ANY_DICOM).status_code in (403, 404)
    assert stage.get(f"/dicomweb/studies/{ANNA}/series/{ANNA}.1", token, Accept=ANY_DICOM).status_code == 200
    shown = stage.get(f"/dicomweb/studies/{ANNA}/series", token).json()
    assert [each["0020000E"]["Value"][0] for each in shown] == [f"{ANNA}.1"]
    (study,) = stage.get("/dicomweb/studies?includefield=00201206,00201208", token).json()
    assert study["00201206"]["Value"] == [1]
    assert study["00201208"]["Value"] == [1]
    own = stage.token(SCOPE, login="anna")
    assert stage.get(f"/dicomweb/studies/{ANNA}", own, Accept=ANY_DICOM).status_code == 200


def test_g_i08_a_service_reaches_its_agreed_patients_only(stage: Stage) -> None:
    agreed = stage.service_token("agreed", "system/ImagingStudy.rs")
    (study,) = stage.get("/dicomweb/studies", agreed).json()
    assert study["0020000D"]["Value"] == [ANNA]
    assert stage.get(f"/dicomweb/studies/{BERT}/metadata", agreed).status_code in (403, 404)
    nobodys = stage.service_token("nobodys", "system/ImagingStudy.rs")
    for path in ("/dicomweb/studies", f"/dicomweb/studies/{ANNA}/metadata", "/fhir/ImagingStudy"):
        assert stage.get(path, nobodys).status_code in (403, 404)


@pytest.mark.parametrize(
    "scope", ["patient/ImagingStudy.rs", "patient/ImagingStudy.read", "patient/*.rs", "patient/*.read"]
)
def test_g_i09_every_form_of_the_scope_opens_images(stage: Stage, scope: str) -> None:
    opened = stage.token(scope)
    assert stage.get(f"/dicomweb/studies/{ANNA}", opened, Accept=ANY_DICOM).status_code == 200
    assert stage.get("/dicomweb/studies", opened).status_code == 200


@pytest.mark.parametrize(
    "scope", ["patient/Patient.rs", "patient/Observation.rs patient/Endpoint.rs", "openid fhirUser"]
)
def test_g_i09_a_token_without_images_opens_none(stage: Stage, scope: str) -> None:
    closed = stage.token(scope)
    for path in paths(ANNA):
        assert stage.get(path, closed).status_code == 403, path
    assert stage.get("/dicomweb/studies", closed).status_code == 403


def test_g_i09_each_letter_opens_its_own(stage: Stage) -> None:
    reads, finds = stage.token("patient/ImagingStudy.r"), stage.token("patient/ImagingStudy.s")
    assert stage.get(f"/dicomweb/studies/{ANNA}/metadata", reads).status_code == 200
    assert stage.get("/dicomweb/studies", reads).status_code == 403
    assert stage.get("/dicomweb/studies", finds).status_code == 200
    assert stage.get(f"/dicomweb/studies/{ANNA}/metadata", finds).status_code == 403


def test_g_i11_a_study_comes_as_it_was_stored(stage: Stage, token: str) -> None:
    answer = stage.get(f"/dicomweb/studies/{ANNA}", token, Accept=ANY_DICOM)
    assert answer.headers["content-type"].startswith("multipart/related")
    for series in (1, 2):
        assert instance(1, study=1, series=series).data() in answer.content
    assert answer.content.count(b"DICM") == 2


def test_g_i13_an_assertion_is_no_token(stage: Stage) -> None:
    app = stage.apps["backend"]
    assert app.key is not None
    made = assertion(app.key, app.claims(stage.token_url))["client_assertion"]
    for path in ("/fhir/ImagingStudy", "/dicomweb/studies"):
        assert stage.get(path, made).status_code == 401


def test_g_i14_lists_show_only_what_may_be_seen(stage: Stage, token: str) -> None:
    for query in ("", "?includefield=all", "?PatientID=P1", "?PatientID=*", "?limit=1&offset=0"):
        found = stage.get(f"/dicomweb/studies{query}", token)
        assert [each["0020000D"]["Value"][0] for each in found.json()] == [ANNA], query
        assert found.headers.get("x-total-count", "1") == "1"
    assert stage.get("/dicomweb/studies?PatientID=P2", token).status_code == 403
    for query in (f"StudyInstanceUID={BERT}", "AccessionNumber=A2", "offset=1"):
        found = stage.get(f"/dicomweb/studies?{query}", token)
        assert found.status_code in (200, 204, 403)
        assert not (found.status_code == 200 and told(found))
    for level in ("series", "instances"):
        assert all(BERT not in str(each) for each in told(stage.get(f"/dicomweb/{level}", token)))


def test_g_i15_images_are_stored_for_the_context_only(stage: Stage) -> None:
    # Of Carl, whose studies no other test counts: what the bridge makes of one stays a moment longer than the study.
    writes = stage.token("patient/ImagingStudy.cruds", patient="carl")
    other = instance(1, study=8, patient_id="P2")
    refused = stow(stage, writes, other.data())
    assert refused.status_code in (403, 409), refused.text
    assert stage.get(f"/dicomweb/studies/{other.study}/metadata", stage.service_token()).status_code == 404
    into = instance(9, study=2, patient_id=NUMBER["carl"])
    assert stow(stage, writes, into.data()).status_code in (403, 409)
    mine = instance(1, study=9, patient_id=NUMBER["carl"])
    both = stow(stage, writes, mine.data(), instance(2, study=9, patient_id="P2").data())
    assert both.status_code in (202, 409)
    assert stow(stage, stage.token("patient/ImagingStudy.rs", patient="carl"), mine.data()).status_code == 403
    gone = stage.call("DELETE", f"/dicomweb/studies/{mine.study}", stage.service_token())
    assert gone.status_code in (200, 204, 404)


def stow(stage: Stage, token: str, *files: bytes) -> httpx.Response:
    body, content_type = multipart([("application/dicom", each) for each in files], "application/dicom")
    headers = {"Content-Type": content_type, "Accept": "application/dicom+json", "Authorization": f"Bearer {token}"}
    return stage.http.post(f"{stage.url}/dicomweb/studies", content=body, headers=headers)


def test_g_i16_the_cookie_of_a_sign_in_opens_no_data(stage: Stage) -> None:
    browser = stage.browser()
    for path in ("/fhir/Patient/anna", "/dicomweb/studies", f"/dicomweb/studies/{ANNA}/rendered"):
        assert browser.client.get(path).status_code == 401
    wado = f"/dicomweb?requestType=WADO&studyUID={BERT}&seriesUID={BERT}.1&objectUID={BERT}.1.1"
    assert browser.client.get(wado).status_code in (401, 404, 405)
    assert stage.get(wado, stage.token(SCOPE)).status_code in (404, 405)
    basic = "Basic " + base64.b64encode(b"nurse:three boats at noon").decode()
    assert stage.get("/dicomweb/studies", Authorization=basic).status_code == 401
