"""A person and an app before a running server: users by command line, sign-in with a second factor, an approval, one
token for FHIR and images, two worker processes, and all of it in the audit trail."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import jwt
import pyotp
import pytest
from lxml import html

from server.audit.reading import Recorded
from server.groundwork import Groundwork
from server.smart.assertions import ASSERTION_TYPE
from tests.data.instances import write_instances
from tests.e2e.running import Place, Server, running
from tests.server.commands.administering import asking, told
from tests.server.smart.keeping import ec_key

PASSWORD = "three boats at noon"
REDIRECT = "https://app.example/back"
SCOPE = "launch/patient openid fhirUser offline_access patient/*.rs"
PRACTITIONER = {"resourceType": "Practitioner", "id": "li", "name": [{"text": "李娜"}]}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """One study, whose patient the bridge makes, a nurse and an app."""
    folder = tmp_path_factory.mktemp("signed")
    place = Place("sqlite+folder", folder / "data", {"WEFT_AUTH": "smart"})
    write_instances(folder / "in", 2)
    (folder / "in/li.json").write_text(json.dumps(PRACTITIONER))
    place.data.mkdir()
    told(place.data, "import", str(folder / "in"))
    return place


@pytest.fixture(scope="module")
def first_password(place: Place) -> str:
    text = told(place.data, "user", "add", "li", "nurse", "--name", "李娜", "--fhir-user", "Practitioner/li")
    return text.split("shown only now: ")[1].split()[0]


@pytest.fixture(scope="module")
def server(place: Place, first_password: str) -> Iterator[Server]:
    for app in ("chart", "other"):
        told(place.data, "client", "add", app, "--id", app, "--scope", SCOPE, "--redirect", REDIRECT)
    with running(place, workers="2") as server:
        yield server


class Browser:
    """Follows links within the server and fills in forms."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = httpx.Client(base_url=url, timeout=30)

    def close(self) -> None:
        self._client.close()

    def open(self, path: str, **query: str) -> httpx.Response:
        return self._follow(self._client.get(path, params=query))

    def send(self, page: httpx.Response, action: str, form: Any = None, /, **filled: str) -> httpx.Response:
        """The form of a page with these fields, everything else as it stands there."""
        if form is None:
            form = next(each for each in html.fromstring(page.text).forms if each.get("action") == action)
        kept = [(name, value) for name, value in form.form_values() if name not in filled]
        pairs = [*((str(name), str(value)) for name, value in kept), *filled.items()]
        content = str(httpx.QueryParams(pairs))
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": self._url}
        return self._follow(self._client.post(urljoin(str(page.url), action), content=content, headers=headers))

    def _follow(self, answer: httpx.Response) -> httpx.Response:
        while answer.is_redirect and urljoin(self._url, answer.headers["location"]).startswith(self._url):
            answer = self._client.get(answer.headers["location"])
        return answer


@pytest.fixture(scope="module")
def browser(server: Server, first_password: str) -> Iterator[Browser]:
    """In which the nurse has signed in for the first time: another password, an authenticator app."""
    browser = Browser(server.url)
    page = browser.send(browser.open("/oauth/account"), "/oauth/sign-in", login="li", password=first_password)
    page = browser.send(page, "/oauth/new-password", password=PASSWORD, again=PASSWORD)
    secret = "".join(html.fromstring(page.text).xpath("//code[@class='secret']")[0].text_content().split())
    page = browser.send(page, "/oauth/enrol", code=pyotp.TOTP(secret).now())
    assert page.status_code == 200, page.text
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def granted(server: Server, browser: Browser) -> dict[str, Any]:
    return approved(server, browser, "chart")


def approved(server: Server, browser: Browser, app: str) -> dict[str, Any]:
    """The token response, after the user has picked a patient and agreed."""
    verifier = secrets.token_urlsafe(32)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    page = browser.open(
        "/oauth/authorize",
        response_type="code",
        client_id=app,
        redirect_uri=REDIRECT,
        scope=SCOPE,
        state="0123456789abcdef",
        aud=f"{server.url}/fhir",
        code_challenge=challenge,
        code_challenge_method="S256",
        nonce="n-1",
    )
    page = _picked(browser, browser.send(page, "/oauth/patients", text="P1"))
    answer = browser.send(page, "/oauth/approve", act="allow")
    assert answer.status_code == 302, answer.text
    back = httpx.URL(answer.headers["location"])
    assert (back.params["state"], back.params["iss"]) == ("0123456789abcdef", f"{server.url}/oauth")
    form = {"grant_type": "authorization_code", "code": back.params["code"], "redirect_uri": REDIRECT}
    response = httpx.post(
        f"{server.url}/oauth/token",
        data={**form, "client_id": app, "code_verifier": verifier},
        headers={"Origin": "https://app.example"},
    )
    assert response.status_code == 200, response.text
    assert response.headers["access-control-allow-origin"] == "https://app.example"
    found: dict[str, Any] = response.json()
    return found


def _picked(browser: Browser, page: httpx.Response) -> httpx.Response:
    """The first patient of the list."""
    root = html.fromstring(page.text)
    form = next(each for each in root.forms if each.xpath(".//*[@name='patient']"))
    kept = {str(name): str(value) for name, value in form.form_values()}
    patient = str(form.xpath(".//*[@name='patient']/@value")[0])
    return browser.send(page, str(form.get("action")), form, **{**kept, "patient": patient})


def asked(server: Server, path: str, token: str = "") -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.get(server.url + path, headers=headers, timeout=30)


def test_nothing_is_seen_without_a_token(server: Server) -> None:
    for path in ("/fhir/Patient", "/dicomweb/studies", "/fhir/Patient?access_token=x"):
        answer = asked(server, path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_the_address_itself_tells_a_program_and_a_person_what_is_here(server: Server) -> None:
    told = asked(server, "/").json()
    assert (told["fhir"], told["oauth"]) == (f"{server.url}/fhir", f"{server.url}/oauth")
    page = httpx.get(server.url, headers={"Accept": "text/html,*/*;q=0.8"}, follow_redirects=True)
    assert page.url.path == "/oauth/start"
    seen = html.fromstring(page.text)
    assert f"{server.url}/fhir/metadata" in seen.xpath("//a/@href")
    addresses = seen.xpath("//code/text()")
    assert {told["fhir"], told["dicomweb"], f"{told['xds']}/registry", f"{told['xca']}/query"} < set(addresses)
    for each in addresses:
        if each.startswith((told["xds"], told["xca"])):
            assert httpx.post(each).headers["content-type"].startswith("application/soap+xml"), each


def test_one_token_opens_fhir_and_images(server: Server, granted: dict[str, Any]) -> None:
    token = granted["access_token"]
    assert asked(server, f"/fhir/Patient/{granted['patient']}", token).status_code == 200
    (study,) = asked(server, "/dicomweb/studies", token).json()
    uid = study["0020000D"]["Value"][0]
    assert asked(server, f"/dicomweb/studies/{uid}/rendered", token).status_code == 200
    assert asked(server, "/fhir/Practitioner/li", token).status_code == 200


def test_what_was_not_granted_is_refused(server: Server, granted: dict[str, Any]) -> None:
    answer = httpx.post(
        f"{server.url}/fhir/Patient",
        json={"resourceType": "Patient"},
        headers={"Authorization": f"Bearer {granted['access_token']}", "Content-Type": "application/fhir+json"},
    )
    assert answer.status_code == 403


def test_the_id_token_tells_how_the_user_signed_in(server: Server, granted: dict[str, Any]) -> None:
    configuration = asked(server, "/oauth/.well-known/openid-configuration").json()
    kid = jwt.get_unverified_header(granted["id_token"])["kid"]
    keys = asked(server, configuration["jwks_uri"].removeprefix(server.url)).json()["keys"]
    (key,) = [each for each in keys if each["kid"] == kid]
    claims = jwt.decode(
        granted["id_token"], jwt.PyJWK(key), ["RS256"], audience="chart", issuer=configuration["issuer"], leeway=5
    )
    assert claims["fhirUser"] == f"{server.url}/fhir/Practitioner/li"
    assert {"pwd", "otp"} <= set(claims["amr"])
    assert (claims["acr"], claims["nonce"]) == (f"{server.url}/oauth/acr/two-factors", "n-1")


@pytest.mark.parametrize(
    "path",
    ["/fhir/.well-known/smart-configuration", "/fhir/metadata", "/oauth/brands", "/oauth/jwks"],
    ids=["D14", "D15", "U01", "jwks"],
)
def test_any_page_may_read_the_public_documents(server: Server, path: str) -> None:
    answer = httpx.get(server.url + path, headers={"Origin": "https://anywhere.example"})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")


def test_o08_a_registered_app_may_read_who_its_user_is(server: Server, granted: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {granted['access_token']}", "Origin": "https://app.example"}
    answer = httpx.get(f"{server.url}/fhir/Practitioner/li", headers=headers)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "https://app.example")


def test_other_pages_may_not_read_what_is_not_public(server: Server, granted: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {granted['access_token']}", "Origin": "https://anywhere.example"}
    answer = httpx.get(f"{server.url}/fhir/Patient/{granted['patient']}", headers=headers)
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


def test_d17_the_statement_and_discovery_agree(server: Server) -> None:
    smart = asked(server, "/fhir/.well-known/smart-configuration").json()
    (rest,) = asked(server, "/fhir/metadata").json()["rest"]
    (oauth,) = rest["security"]["extension"]
    uris = {each["url"]: each["valueUri"] for each in oauth["extension"]}
    assert uris["authorize"] == smart["authorization_endpoint"]
    assert uris["token"] == smart["token_endpoint"]


def test_a_key_that_is_rotated_beside_the_server_is_published(server: Server, place: Place) -> None:
    kid = told(place.data, "key", "rotate").split()[1]
    assert kid == asked(server, "/oauth/jwks").json()["keys"][0]["kid"]


def test_an_app_that_is_shut_out_is_so_at_once_in_every_process(server: Server, place: Place, browser: Browser) -> None:
    token = approved(server, browser, "other")
    path = f"/fhir/Patient/{token['patient']}"
    assert asked(server, path, token["access_token"]).status_code == 200
    told(place.data, "client", "revoke", "other")
    assert {asked(server, path, token["access_token"]).status_code for _ in range(8)} == {401}


def test_what_was_read_is_in_the_trail_and_the_token_is_not(
    place: Place, server: Server, granted: dict[str, Any]
) -> None:
    answer = asked(server, f"/fhir/Patient/{granted['patient']}", granted["access_token"])

    async def question(ground: Groundwork) -> list[Recorded]:
        assert ground.audit is not None
        return (await ground.audit.recorder.events("", 1000)).events

    (event,) = [
        each.event
        for each in asking(place.data, question)
        if each.event.request == answer.headers["x-request-id"] and each.event.subtype == "read"
    ]
    assert (event.patient, event.client) == (f"Patient/{granted['patient']}", "chart")
    kept = [path.read_bytes() for path in (place.data / "audit").rglob("*") if path.is_file()]
    assert not [each for each in kept if granted["access_token"].encode() in each]


def test_the_log_holds_no_secret(server: Server, granted: dict[str, Any], first_password: str) -> None:
    log = server.log.read_text()
    for secret in (granted["access_token"], granted["refresh_token"], granted["id_token"], first_password, PASSWORD):
        assert secret not in log


def test_monitoring_reads_counts_and_the_home_page_names_every_surface(server: Server) -> None:
    assert "weft_audit_failing 0\n" in asked(server, "/metrics").text
    home = asked(server, "/").json()
    assert {name: home[name] for name in ("dicomweb", "fhir", "oauth")} == {
        name: f"{server.url}/{name}" for name in ("dicomweb", "fhir", "oauth")
    }


def test_k05_an_assertion_is_good_once_in_every_process(server: Server, place: Place, tmp_path: Path) -> None:
    key, file = ec_key(), tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [key.public]}))
    options = ("--id", "service", "--scope", "system/Patient.rs", "--by", "key", "--jwks", str(file), "--backend")
    told(place.data, "client", "add", "service", *options)
    token_url = f"{server.url}/oauth/token"
    claims = {"iss": "service", "sub": "service", "aud": token_url, "jti": "once", "exp": int(time.time()) + 60}
    form = {
        "grant_type": "client_credentials",
        "scope": "system/Patient.rs",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": key.signed(claims),
    }
    # Each with a connection of its own, so that both processes are asked.
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: httpx.post(token_url, data=form, timeout=30), range(8)))
    assert sorted(each.status_code for each in answers) == [200, *[401] * 7]
