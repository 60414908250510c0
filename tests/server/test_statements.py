"""The conformance statement follows the endpoints, and the committed one is current."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.commands.statements import CURRENT, DRIFTED, write_or_check
from server.http.surface import Answer, Call, Endpoint
from server.statements import STATEMENTS, dicomweb, statements

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return statements()


async def _answer(_: Call) -> Answer:
    return Answer()


def test_the_committed_statements_are_current() -> None:
    assert write_or_check(ROOT / STATEMENTS, is_check=True) == CURRENT


def test_what_drifts_is_told_and_written_anew(tmp_path: Path) -> None:
    assert write_or_check(tmp_path, is_check=True) == DRIFTED
    assert write_or_check(tmp_path, is_check=False) == CURRENT
    assert write_or_check(tmp_path, is_check=True) == CURRENT
    (tmp_path / "dicomweb.md").write_text("something else")
    assert write_or_check(tmp_path, is_check=True) == DRIFTED


def test_every_endpoint_is_a_row() -> None:
    text = dicomweb([Endpoint("x.y", "GET", "/a/{b}", "read", _answer, "PS3.18 10.4")])
    assert "| x.y | GET | `/a/{b}` | 10.4 |" in text


def test_tables_are_whole(texts: dict[str, str]) -> None:
    text = texts["dicomweb.md"]
    for line in ("| 0111 | duplicate sop instance |", "| 406 | not acceptable |"):
        assert line in text
    assert "RequestAttributesSequence.ScheduledProcedureStepID" in text
    assert "| 1.2.840.10008.1.2.4.80 | JPEG-LS Lossless Image Compression | image/jls | yes | yes | yes |" in text


def test_the_access_statement_is_whole(texts: dict[str, str]) -> None:
    text = texts["access.md"]
    for line in (
        "| nurse | crus | crus | rs | rs |  | all | R | may break the glass |",
        "| access with `offline_access` | 180 days |",
        "| oauth.token | POST | `/token` | RFC 6749 3.2 |",
        "| FHIR | `read` | RESTful Operation (rest) | read | R | resources |",
        "| `break-glass-only` | emergencies alone |",
    ):
        assert line in text
    assert "`smart-imaging-access`" in text


def test_the_fhir_statement_is_whole(texts: dict[str, str]) -> None:
    text = texts["fhir.md"]
    for line in (
        "| create | POST | `/{type}` | http.html#create |",
        "| $everything | Patient | instance | GET, POST | http://hl7.org/fhir/OperationDefinition/Patient-everything |",
        "| 410 | gone | deleted |",
    ):
        assert line in text


def test_every_transaction_over_soap_is_told(texts: dict[str, str]) -> None:
    text = texts["ihe.md"]
    for line in (
        "| ITI-18 | Document Registry | `/xds/registry` | `urn:ihe:iti:2007:RegistryStoredQuery` | SOAP | Query, E |",
        "| RAD-75 | Responding Imaging Gateway | `/xca/imaging` |",
        "| FindDocumentsByReferenceId |",
    ):
        assert line in text
