"""Scanned from outside: every row of the OAuth and FHIR surfaces, with data as described and with data that is not.

Whatever is sent, no answer is a fault of the server, each refusal speaks the dialect of its surface, headers are as
they should be, and nothing secret that was sent comes back or stands in the log.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from lxml import etree, html
from schemathesis import Case, GenerationMode, Response

from server.assembly import open_services
from server.audit.who import Who
from server.groundwork import Groundwork
from server.http.surface import Endpoint
from server.kernel.clock import HOUR, micros
from server.kernel.ids import new_token
from server.settings import Settings
from server.smart.digest import digest
from server.smart.model import Approval, Client, Token
from server.smart.standing import ACCESS
from tests.e2e.descriptions import SECRET, described
from tests.e2e.running import Place, Server, running
from tests.server.commands.administering import asking

PASSWORD = "three boats at noon"
SCOPES = ("user/*.cruds",)
ROLES = ("radiologist", "nurse", "recorder", "auditor")
"""All that one person may see and change."""
PROGRAMS = re.compile(r"/oauth/(token|introspect|revoke|register|launch|jwks|brands|style|\.well-known)")
PUBLIC = re.compile(r"/oauth/(jwks|brands|style/|static/|\.well-known/)|/fhir/(metadata|\.well-known/)")
CODE = re.compile(r"[a-z_]+")
DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]*")
"""RFC 6749 5.2."""
PATIENT = {"resourceType": "Patient", "id": "a", "name": [{"text": "<b>Bold</b>"}]}
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


@dataclass
class Scanned:
    server: Server
    token: str
    browser: requests.Session
    """In which a radiologist has signed in."""
    program: requests.Session
    """Which holds the token of one."""
    stranger: requests.Session


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scanned]:
    place = Place("sqlite+folder", tmp_path_factory.mktemp("scanned") / "data", {"WEFT_AUTH": "smart"})
    place.data.mkdir()
    token = asking(place.data, _admitted)
    with running(place, second_factor="off", registration="approval") as server:
        program, browser = requests.Session(), requests.Session()
        program.headers["Authorization"] = f"Bearer {token}"
        program.put(f"{server.url}/fhir/Patient/a", json=PATIENT, headers={"Content-Type": "application/fhir+json"})
        _sign_in(server.url, browser)
        yield Scanned(server, token, browser, program, requests.Session())
        log = server.log.read_text(errors="replace")
    assert not [each for each in (SECRET, token, PASSWORD) if each in log]


async def _admitted(ground: Groundwork) -> str:
    smart, at, value = ground.smart, micros(ground.clock), new_token()
    redirect = "https://app.example/back"
    scopes = (*SCOPES, "launch", "launch/patient", "patient/*.rs", "openid", "fhirUser")
    await smart.store.save(Client("chart", "Chart", "none", scopes, (redirect,), created=at))
    user = await smart.users.create(Who(name="test"), "radiologist", "Radiologist", ROLES, PASSWORD, must_change=False)
    approval = Approval(new_token(), "chart", SCOPES, user=user.id, created=at, expires=at + HOUR)
    token = Token(digest(value), approval.id, ACCESS, SCOPES, at, at + HOUR)
    await smart.store.commit(smart.store.put(approval, 0), smart.store.put(token, 0))
    return value


def _sign_in(url: str, browser: requests.Session) -> None:
    page = browser.get(f"{url}/oauth/sign-in", timeout=30)
    form = {**_hidden(page.text), "login": "radiologist", "password": PASSWORD}
    signed_in = browser.post(f"{url}/oauth/sign-in", form, headers={"Origin": url}, timeout=30)
    assert signed_in.url.endswith("/oauth/account"), signed_in.text


def _pending(scanned: Scanned) -> dict[str, str]:
    """What the forms of somebody carry whom an app has sent here."""
    asked = {
        "response_type": "code",
        "client_id": "chart",
        "redirect_uri": "https://app.example/back",
        "scope": "launch/patient patient/*.rs",
        "state": "0123456789abcdef",
        "aud": f"{scanned.server.url}/fhir",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }
    page = scanned.browser.get(f"{scanned.server.url}/oauth/authorize", params=asked, timeout=30)
    assert page.url.startswith(f"{scanned.server.url}/oauth/patients?request="), page.text
    return {**_hidden(page.text), "request": unquote(page.url.partition("request=")[2])}


def _hidden(page: str) -> dict[str, str]:
    """What stands against forgery in the form of a page."""
    name, value = next(
        (str(each.get("name")), str(each.get("value")))
        for each in html.fromstring(page).xpath("//input[@type='hidden']")
        if each.get("name") == "form_token"
    )
    return {name: value}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[Endpoint]]:
    """By the prefix of the surface, out of an empty archive that is closed again."""

    async def read(data: Path) -> Mapping[str, list[Endpoint]]:
        services = await open_services(Settings(data=data))
        try:
            fhir = [*services.fhir_rest().endpoints(), *services.smart.documents().fhir_endpoints()]
            return {"/fhir": fhir, "/oauth": list(services.oauth().endpoints())}
        finally:
            await services.close()

    return asyncio.run(read(tmp_path_factory.mktemp("rows")))


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["/fhir", "/oauth"])
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
def test_no_row_answers_with_a_fault(
    scanned: Scanned, rows: Mapping[str, list[Endpoint]], prefix: str, mode: GenerationMode, is_full: bool
) -> None:
    found: list[str] = []
    examples = 60 if is_full else 2

    def judge(case: Case) -> None:
        session = scanned.program if prefix == "/fhir" else scanned.browser
        headers = {} if prefix == "/fhir" else {"Origin": scanned.server.url}
        answer = case.call(scanned.server.url, session, headers=headers, allow_redirects=False, timeout=60)
        found.extend(f"{case.as_curl_command()}\n  {each}" for each in faults(prefix, case, answer, scanned.token))

    count = _tried(scanned, rows[prefix], prefix, mode, examples, judge)
    assert count >= len({(row.method, row.path) for row in rows[prefix]})
    assert not found, "\n".join(found[:10])


def _tried(
    scanned: Scanned,
    rows: list[Endpoint],
    prefix: str,
    mode: GenerationMode,
    examples: int,
    judge: Callable[[Case], None],
) -> int:
    """Every operation so often; gives how many calls that were."""
    # Who signs out is no longer let in to the pages that follow.
    kept = [row for row in rows if row.name != "oauth.sign-out"]
    known = {**_pending(scanned), "aud": f"{scanned.server.url}/fhir"} if prefix == "/oauth" else {}
    schema = schemathesis.openapi.from_dict(described(prefix, kept, known))
    count = 0
    for each in schema.get_all_operations():
        operation = each.ok()
        # What has nothing to describe has nothing to violate.
        is_bare = not (operation.query or operation.body or operation.path_parameters)
        strategy = operation.as_strategy(GenerationMode.POSITIVE if is_bare else mode)

        @seed(4711)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def call(case: Case) -> None:
            nonlocal count
            count += 1
            judge(case)

        call()
    return count + 1


def test_every_row_of_fhir_asks_who_it_is(scanned: Scanned, rows: Mapping[str, list[Endpoint]]) -> None:
    for row in rows["/fhir"]:
        path = re.sub(r"\{type\}", "Patient", row.path)
        path = re.sub(r"\{\w+\}", "1", path)
        answer = scanned.stranger.request(row.method, f"{scanned.server.url}/fhir{path}", timeout=30)
        if row.interaction == "capabilities":
            assert answer.status_code == 200, path
        else:
            assert answer.status_code == 401, (row.method, path)
            assert answer.headers["www-authenticate"].startswith("Bearer")


def test_what_was_sent_is_never_echoed(scanned: Scanned) -> None:
    for path in ("/", "/fhir/Patient", "/oauth/token", "/dicomweb/studies", "/healthz"):
        answer = scanned.program.request("TRACE", scanned.server.url + path, headers={"X-Echo": SECRET}, timeout=30)
        assert answer.status_code == 405, path
        assert SECRET not in answer.text + str(answer.headers)


def faults(prefix: str, case: Case, answer: Response, token: str) -> list[str]:
    """What is wrong with an answer."""
    headers = {name: ", ".join(values) for name, values in answer.headers.items()}
    text = answer.text
    found = []
    if answer.status_code >= 500:
        found.append(f"status {answer.status_code}: {text[:300]}")
    if headers.get("x-content-type-options") != "nosniff":
        found.append("may be sniffed")
    policy = headers.get("content-security-policy", "")
    if not all(each in policy for each in ("default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'")):
        found.append(f"may run or be framed: {policy}")
    if headers.get("referrer-policy") != "no-referrer":
        found.append("names us to others")
    if headers.get("cache-control") != "no-store" and not PUBLIC.match(case.path):
        found.append("may be kept")
    if any(secret in text or secret in str(headers) for secret in (SECRET, token, PASSWORD)):
        found.append("gives a secret back")
    found += _fhir_faults(answer, headers) if prefix == "/fhir" else _oauth_faults(case, answer, headers)
    return found


def _fhir_faults(answer: Response, headers: Mapping[str, str]) -> list[str]:
    if answer.status_code < 400:
        return []
    found = [] if answer.status_code != 401 else ["the token was not taken"]
    if not _is_outcome(answer.content, headers.get("content-type", "")):
        found.append(f"{answer.status_code} without an OperationOutcome: {answer.text[:200]}")
    return found


def _is_outcome(body: bytes, kind: str) -> bool:
    if "xml" in kind:
        return str(etree.QName(etree.fromstring(body)).localname) == "OperationOutcome"
    return "json" in kind and json.loads(body)["resourceType"] == "OperationOutcome"


def _oauth_faults(case: Case, answer: Response, headers: Mapping[str, str]) -> list[str]:
    if PROGRAMS.match(case.path):
        return _program_faults(answer, headers)
    kind = headers.get("content-type", "")
    if answer.status_code in (302, 303):
        return _way_faults(headers)
    if answer.status_code < 400 and case.path.startswith("/oauth/static/"):
        return []
    found = [] if kind == "text/html; charset=utf-8" else [f"{answer.status_code} is no page of ours: {kind}"]
    return found + [f"{each} stands in the page as it was sent" for each in _sent(case) if each in answer.text]


def _program_faults(answer: Response, headers: Mapping[str, str]) -> list[str]:
    if answer.status_code < 400:
        return []
    found = []
    told: Any = json.loads(answer.content) if headers.get("content-type") == "application/json" else {}
    if not CODE.fullmatch(told.get("error", "")) or not DESCRIPTION.fullmatch(told.get("error_description", "")):
        found.append(f"{answer.status_code} without an error of RFC 6749: {answer.text[:200]}")
    if answer.status_code == 401 and "www-authenticate" not in headers:
        found.append("401 without a challenge")
    return found


def _way_faults(headers: Mapping[str, str]) -> list[str]:
    place = headers.get("location", "")
    is_ours = place.startswith("/oauth/") or re.match(r"http://127\.0\.0\.1:\d+/oauth/", place)
    return [] if is_ours or place.startswith("https://app.example/back?") else [f"sends to {place}"]


def _sent(case: Case) -> list[str]:
    """Texts of the request that would be markup."""
    sent: list[Any] = [*(case.query or {}).values()]
    sent += list(case.body.values()) if isinstance(case.body, dict) else []
    return [each for each in sent if isinstance(each, str) and "<" in each and len(each) > 2]
