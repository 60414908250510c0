"""The npm package `fhirclient` in Chromium: an app on an origin of its own, launched by itself and from the hospital's
own system, through the pages a nurse sees."""

from __future__ import annotations

import json
import shutil
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from server.oauth.words import say_in
from server.smart.assertions import ASSERTION_TYPE
from tests.e2e.needed import program, run
from tests.e2e.running import Place, Server, running
from tests.e2e.smart import ward
from tests.e2e.smart.people import PASSWORD, Person
from tests.e2e.smart_app.hospital import hospital, hosting, let_in_service
from tests.server.commands.administering import told
from tests.server.smart.keeping import ec_key

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

APP = Path(__file__).parent / "smart_app"
LIBRARY = "fhirclient@2.6.3"
PATIENCE = 30_000
"""Milliseconds for a page to come to show something, on a machine that does much else."""
RECORDS = "patient/Patient.rs patient/Observation.rs?category=vital-signs patient/ImagingStudy.rs patient/Endpoint.rs"
SCOPES = {
    "alone": f"launch/patient openid fhirUser online_access {RECORDS}",
    "opened": f"launch openid fhirUser offline_access {RECORDS}",
}
VITALS = ["anna-pulse", "anna-weight"]


@dataclass
class Scene:
    """The server, where the app is, and who may sign in, with the password for the first time."""

    server: Server
    app: str
    people: tuple[tuple[Person, str], ...]

    @property
    def alone(self) -> str:
        """Where the app is started that no other system launches."""
        return f"{self.app}/alone/launch.html?iss={self.server.url}/fhir"


@dataclass
class Tabs:
    """One person's browser; what its pages complained of is a fault."""

    context: BrowserContext
    language: str
    complaints: list[str] = field(default_factory=list)

    def open(self, url: str) -> Page:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._told)
        page.goto(url)
        return page

    def _told(self, message: ConsoleMessage) -> None:
        # An answer that is an error is told of as well: the app sees to that itself.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.complaints.append(message.text)

    def say(self, key: str, **values: object) -> str:
        return say_in(self.language)(key, **values)

    def fill(self, page: Page, **filled: str) -> None:
        for key, value in filled.items():
            page.get_by_label(self.say(key.replace("__", "-").replace("_", ".")), exact=True).fill(value)

    def press(self, page: Page, key: str, **values: object) -> None:
        page.get_by_role("button", name=self.say(key, **values), exact=True).click()

    def sign_in(self, page: Page, person: Person, password: str = PASSWORD) -> None:
        self.fill(page, sign__in_login=person.login, sign__in_password=password)
        self.press(page, "sign-in.submit")

    def sign_in_first(self, page: Page, person: Person, password: str) -> None:
        """With the password an administrator told; then another one and an authenticator app."""
        self.sign_in(page, person, password)
        self.fill(page, password_new=PASSWORD, password_again=PASSWORD)
        self.press(page, "password.submit")
        page.get_by_text(self.say("enrol.app.secret")).click()
        person.secret = "".join(page.locator("code.secret").inner_text().split())
        self.fill(page, enrol_app_code=person.code())
        self.press(page, "enrol.app.submit")
        page.get_by_role("link", name=self.say("codes.continue")).click()

    def prove(self, page: Page, person: Person) -> None:
        self.fill(page, factor_code=person.code())
        self.press(page, "factor.check")


@contextmanager
def browsing(chromium: Browser, language: str) -> Iterator[Tabs]:
    """A browser without cookies; none of its pages may complain, of the content security policy for one."""
    context = chromium.new_context(locale={"en": "en-GB", "zh": "zh-CN"}[language])
    context.set_default_timeout(PATIENCE)
    tabs = Tabs(context, language)
    yield tabs
    context.close()
    assert not tabs.complaints


@pytest.fixture(scope="module")
def executable() -> str:
    return program("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory, executable: str) -> Iterator[str]:
    """The app's pages beside the library, in a folder for each client that differs only in its settings."""
    folder = tmp_path_factory.mktemp("app")
    packed = run(program("npm"), "pack", LIBRARY, "--silent", folder=folder).split()[-1]
    with tarfile.open(folder / packed) as archive:
        library = archive.extractfile("package/build/fhir-client.min.js")
        assert library is not None
        (folder / "fhir-client.min.js").write_bytes(library.read())
    for client, scope in SCOPES.items():
        (folder / client).mkdir()
        for page in ("launch.html", "index.html"):
            shutil.copy(APP / page, folder / client)
        settings = json.dumps({"clientId": client, "scope": scope})
        (folder / client / "config.js").write_text(f"const CONFIG = {settings};\n")
    with hosting(folder) as url:
        yield url


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, hosted: str) -> Iterator[Scene]:
    place = hospital(tmp_path_factory.mktemp("hospital"))
    people = tuple(_person(place, login) for login in ("nurse", "second-nurse", "leaver"))
    for client, scope in SCOPES.items():
        pages = ("--redirect", f"{hosted}/{client}/index.html", "--launch-url", f"{hosted}/{client}/launch.html")
        told(place.data, "client", "add", f"Vitals {client}", "--id", client, "--scope", scope, *pages)
    let_in_service(place, "ehr", ec_key(), "__launch system/ImagingStudy.rs", "--purpose", "TREAT")
    with running(place) as server:
        yield Scene(server, hosted, people)


def _person(place: Place, login: str) -> tuple[Person, str]:
    person = Person(login, ("nurse",), f"Practitioner/{login}")
    text = told(place.data, "user", "add", login, *person.roles, "--name", "Li Na", "--fhir-user", person.fhir_user)
    return person, text.split("shown only now: ")[1].split()[0]


@pytest.fixture(scope="module")
def chromium(scene: Scene, executable: str) -> Iterator[Browser]:
    # After the command line has done its part: both want the event loop of this thread.
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def nurse(scene: Scene, chromium: Browser) -> Person:
    """Who has signed in once: another password, an authenticator app."""
    person, first_password = scene.people[0]
    with browsing(chromium, "en") as tabs:
        page = tabs.open(scene.server.url)
        page.get_by_role("link", name=tabs.say("sign-in.submit"), exact=True).click()
        tabs.sign_in_first(page, person, first_password)
        expect(page.get_by_role("heading", name="Li Na")).to_be_visible()
    return person


def worked(page: Page) -> dict[str, Any]:
    """What the app tells when it is through."""
    page.wait_for_function("['done', 'failed'].includes(document.title)")
    text = page.locator("#result").inner_text()
    assert page.title() == "done", text
    found: dict[str, Any] = json.loads(text)
    return found


def launched(scene: Scene, **context: Any) -> str:
    """Where the hospital's own system, signed in by its key, sends the nurse's browser; its study is Anna's CT."""
    base, key = scene.server.url, ec_key()
    claims = {"iss": "ehr", "sub": "ehr", "aud": f"{base}/oauth/token", "exp": int(time.time()) + 240, "jti": "launch"}
    asked = {
        "grant_type": "client_credentials",
        "scope": "__launch system/ImagingStudy.rs",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": key.signed(claims),
    }
    token = httpx.post(f"{base}/oauth/token", data=asked).raise_for_status().json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    found = httpx.get(f"{base}/fhir/ImagingStudy?identifier=urn:oid:{ward.STUDY['anna']}", headers=headers).json()
    (entry,) = found["entry"]
    asked_for = {"client_id": "opened", "imaging_study": entry["resource"]["id"], **context}
    answer = httpx.post(f"{base}/oauth/launch", json=asked_for, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["launch_url"])


def test_an_app_starts_by_itself_and_ends_with_the_session(scene: Scene, nurse: Person, chromium: Browser) -> None:
    with browsing(chromium, "en") as tabs:
        page = tabs.open(scene.alone)
        tabs.sign_in(page, nurse)
        tabs.prove(page, nurse)
        tabs.fill(page, patients_search="Anna")
        tabs.press(page, "patients.submit")
        page.get_by_role("button", name="Test Anna").click()
        tabs.press(page, "approve.allow")
        result = worked(page)
        assert result["vitals"] == VITALS
        assert result["image"] == [16, 16]
        assert (result["patient"], result["again"], result["isRefreshed"]) == ("anna", "anna", True)
        assert (result["user"], result["other"]) == (nurse.fhir_user, 403)

        account = tabs.open(f"{scene.server.url}/oauth/account")
        tabs.press(account, "account.sign-out")
        expect(account.get_by_role("heading", name=tabs.say("out.title"))).to_be_visible()
        assert "invalid_grant" in page.evaluate("refreshed()")
        again = tabs.open(scene.alone)
        expect(again.get_by_role("heading", name=tabs.say("sign-in.title"))).to_be_visible()


def test_the_hospital_opens_an_app_with_what_is_on_its_screen(scene: Scene, chromium: Browser) -> None:
    person, first_password = scene.people[1]
    url = launched(
        scene, patient="anna", encounter="anna-visit", need_patient_banner=False, user=person.login, intent="review"
    )
    with browsing(chromium, "zh") as tabs:
        page = tabs.open(url)
        tabs.sign_in_first(page, person, first_password)
        expect(page.locator("main")).to_contain_text("Test Anna")
        expect(page.get_by_text(tabs.say("approve.whose.patient"))).to_be_visible()
        tabs.press(page, "approve.allow")
        result = worked(page)
        assert (result["patient"], result["encounter"], result["banner"]) == ("anna", "anna-visit", False)
        (study,) = [each for each in result["context"] if each["reference"].startswith("ImagingStudy/")]
        assert (result["intent"], result["vitals"]) == ("review", VITALS)
        assert result["image"] == [16, 16]
        assert result["isRefreshed"]


def test_a_security_key_is_a_second_step_too(scene: Scene, chromium: Browser) -> None:
    person, first_password = scene.people[2]
    # Keys are bound to a name, and an address is none.
    home = scene.server.url.replace("127.0.0.1", "localhost") + "/oauth/account"
    with browsing(chromium, "en") as tabs:
        page = tabs.open("about:blank")
        plug_in_key(tabs.context, page)
        page.goto(home)
        tabs.sign_in(page, person, first_password)
        tabs.fill(page, password_new=PASSWORD, password_again=PASSWORD)
        tabs.press(page, "password.submit")
        tabs.fill(page, enrol_key_name="blue key")
        tabs.press(page, "enrol.key.submit")
        page.get_by_role("link", name=tabs.say("codes.continue")).click()
        expect(page.get_by_text(tabs.say("factors.key", name="blue key"), exact=True)).to_be_visible()
        tabs.press(page, "account.sign-out")
        page.goto(home)
        tabs.sign_in(page, person)
        tabs.press(page, "factor.key")
        expect(page.get_by_role("heading", name="Li Na")).to_be_visible()


def plug_in_key(context: BrowserContext, page: Page) -> None:
    """One that answers by itself, with its owner's finger on it."""
    devices = context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "usb", "hasUserVerification": True, "isUserVerified": True}
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})
