"""The authorize endpoint and the approval page: section 2 of the SMART checks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from lxml import html

from tests.e2e.smart.apps import REDIRECT, WITH_QUERY
from tests.e2e.smart.browser import Browser
from tests.e2e.smart.stage import Stage, answered
from tests.e2e.smart.ward import CONDITION_CATEGORY, OBSERVATION_CATEGORY

SCOPE = "launch/patient openid fhirUser patient/Patient.rs patient/Observation.rs patient/Condition.rs"


@pytest.mark.parametrize("method", ["get", "post"])
def test_a01_get_and_form_post_are_both_accepted(stage: Stage, method: str) -> None:
    asking = stage.ask(SCOPE)
    browser = stage.browser()
    begun = getattr(browser, {"get": "open", "post": "post"}[method])("/oauth/authorize", asking.pairs)
    assert (begun.status_code, begun.url.path) == (200, "/oauth/patients")


@pytest.mark.parametrize("redirect", [REDIRECT, WITH_QUERY])
def test_a02_approval_goes_to_the_exact_redirect_with_code_and_state(stage: Stage, redirect: str) -> None:
    asking = stage.ask(SCOPE, redirect_uri=redirect)
    page = stage.approval_page(asking)
    back = stage.browser().send(page, "/oauth/approve", having="act", act="allow")
    assert back.status_code == 302
    location = back.headers["location"]
    assert location.startswith(redirect + ("&" if "?" in redirect else "?"))
    assert answered(back)["state"] == asking.parameters["state"]
    assert len(answered(back)["code"]) >= 32


def test_a03_refusal_goes_back_with_error_and_state(stage: Stage) -> None:
    asking = stage.ask(SCOPE)
    told = stage.decided(asking, act="deny")
    assert (told["error"], told["state"]) == ("access_denied", asking.parameters["state"])
    assert "code" not in told


@pytest.mark.parametrize(
    "aud", ["https://elsewhere.example/fhir", "{url}", "{url}/fhir/Patient", "{url}/dicomweb", "{url}/FHIR", "//fhir"]
)
def test_a04_no_code_for_another_audience(stage: Stage, aud: str) -> None:
    told = stage.decided(stage.ask(SCOPE, aud=aud.format(url=stage.url)))
    assert told["error"] == "invalid_request"
    assert "code" not in told


def test_a05_the_audience_is_required_and_read_kindly(stage: Stage) -> None:
    assert stage.decided(stage.ask(SCOPE, aud=None))["error"] == "invalid_request"
    assert "code" in stage.decided(stage.ask(SCOPE, aud=stage.fhir + "/"))
    assert "code" in stage.decided(stage.ask(SCOPE, aud=None, resource=stage.fhir))
    assert "error" in stage.decided(stage.ask(SCOPE, resource="https://elsewhere.example/fhir"))


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"client_id": "backend"},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": None},
        {"redirect_uri": "javascript:alert(1)"},
    ],
)
def test_a06_no_redirect_to_whom_is_not_known(stage: Stage, changes: dict[str, str | None]) -> None:
    spoils: tuple[dict[str, str | None], ...] = (
        {},
        {"response_type": "token"},
        {"aud": None},
        {"scope": "x" * 9000},
        {"prompt": "none"},
    )
    for spoiled in spoils:
        page = stage.browser().open("/oauth/authorize", stage.ask(**{"scope": SCOPE, **spoiled, **changes}).pairs)
        assert not page.is_redirect
        assert page.status_code in (400, 401)
        assert page.headers["content-type"].startswith("text/html")
        assert "evil.example" not in page.text


@pytest.mark.parametrize(
    "redirect",
    [
        "https://app.example/back/",
        "https://app.example/Back",
        "https://APP.example/back",
        "https://app.example:443/back",
        "https://app.example/back?x=1",
        "https://app.example/back?tenant=1&x=1",
        "https://app.example/back#part",
        "https://app.example/x/../back",
        "https://app.example/%62ack",
        "https://app.example@evil.example/back",
        " https://app.example/back",
        "http://app.example/back",
    ],
)
def test_a07_redirects_are_compared_as_they_are_written(stage: Stage, redirect: str) -> None:
    page = stage.browser().open("/oauth/authorize", stage.ask(SCOPE, redirect_uri=redirect).pairs)
    assert (page.status_code, page.is_redirect) == (400, False)


@pytest.mark.parametrize("app", ["public", "basic", "key"])
@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge": "short"},
    ],
)
def test_a08_pkce_is_required_of_every_client(stage: Stage, app: str, changes: dict[str, str | None]) -> None:
    assert stage.decided(stage.ask(SCOPE, app, **changes))["error"] == "invalid_request"


def test_a09_a_state_is_required_but_not_measured(stage: Stage) -> None:
    assert stage.decided(stage.ask(SCOPE, state=None))["error"] == "invalid_request"
    assert stage.decided(stage.ask(SCOPE, state="k7Kd03jfSl2mZq9x"))["state"] == "k7Kd03jfSl2mZq9x"
    odd = "a b&c=d#é/汉%00"
    assert stage.decided(stage.ask(SCOPE, state=odd))["state"] == odd


@pytest.mark.parametrize("kind", ["token", "id_token", "code token", "code id_token", "none", "Code"])
def test_a10_only_codes_are_given(stage: Stage, kind: str) -> None:
    asking = stage.ask(SCOPE, response_type=kind)
    told = stage.decided(asking)
    assert (told["error"], told["state"]) == ("unsupported_response_type", asking.parameters["state"])


@pytest.mark.parametrize("name", ["scope", "state", "aud", "redirect_uri", "client_id", "code_challenge", "nonce"])
def test_a11_no_parameter_twice(stage: Stage, name: str) -> None:
    asking = stage.ask(SCOPE, nonce="n")
    for send in (stage.browser().open, stage.browser().post):
        page = send("/oauth/authorize", [*asking.pairs, (name, asking.parameters[name])])
        assert page.is_redirect or page.status_code == 400
        if page.is_redirect:
            assert answered(page)["error"] == "invalid_request"


@pytest.mark.parametrize("app", ["public", "basic", "key"])
def test_a12_a_code_is_good_once_and_its_second_use_ends_all(stage: Stage, app: str) -> None:
    asking = stage.ask(SCOPE + " offline_access", app)
    code = stage.decided(asking)["code"]
    tokens = stage.exchange(asking, code).json()
    assert stage.get("/fhir/Patient/anna", tokens["access_token"]).status_code == 200
    again = stage.exchange(asking, code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert stage.get("/fhir/Patient/anna", tokens["access_token"]).status_code == 401
    assert stage.refresh(asking.app, tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_a12_of_exchanges_at_once_one_is_answered_and_none_lasts(stage: Stage) -> None:
    asking = stage.ask(SCOPE + " offline_access")
    code = stage.decided(asking)["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "client_id": asking.app.id}
    form["code_verifier"] = asking.verifier
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: stage.each_time.post(stage.token_url, data=form), range(6)))
    assert {each.status_code for each in answers} <= {200, 400}
    tokens = [each.json() for each in answers if each.status_code == 200]
    assert len(tokens) <= 1
    for each in tokens:
        assert stage.get("/fhir/Patient/anna", each["access_token"]).status_code == 401
        assert stage.refresh(asking.app, each["refresh_token"]).status_code == 400


def test_a12_two_clicks_give_one_code(stage: Stage) -> None:
    page = stage.approval_page(stage.ask(SCOPE))
    form = next(each for each in html.fromstring(page.text).forms if str(each.get("action")).endswith("/approve"))
    fields = [*((str(name), str(value)) for name, value in form.form_values()), ("act", "allow")]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: stage.browser().post("/oauth/approve", fields), range(4)))
    assert sorted(each.status_code for each in answers) == [302, 404, 404, 404]


def test_a13_what_is_unticked_is_not_granted(stage: Stage) -> None:
    asking = stage.ask(SCOPE)
    code = stage.decided(asking, without=("patient/Observation.rs", "fhirUser"))["code"]
    granted = stage.exchange(asking, code).json()
    assert set(granted["scope"].split()) == {"launch/patient", "openid", "patient/Patient.rs", "patient/Condition.rs"}
    token = granted["access_token"]
    assert stage.get("/fhir/Condition?patient=anna", token).status_code == 200
    assert stage.get("/fhir/Observation?patient=anna", token).status_code in (401, 403)
    assert stage.get("/fhir/Observation/anna-pulse", token).status_code in (401, 403, 404)


def test_a13_a_form_cannot_tick_what_was_not_asked(stage: Stage) -> None:
    asking = stage.ask(SCOPE)
    page = stage.approval_page(asking)
    form = next(each for each in html.fromstring(page.text).forms if "approve" in str(each.get("action")))
    kept = [(str(name), str(value)) for name, value in form.form_values()]
    back = stage.browser().post("/oauth/approve", [*kept, ("scope", "user/*.cruds"), ("act", "allow")])
    granted = stage.exchange(asking, answered(back)["code"]).json()
    assert set(granted["scope"].split()) == set(SCOPE.split())


def test_a14_types_may_be_given_in_parts(stage: Stage) -> None:
    asking = stage.ask(SCOPE)
    parts = (
        f"patient/Condition.rs?category={CONDITION_CATEGORY}|problem-list-item",
        f"patient/Observation.rs?category={OBSERVATION_CATEGORY}|vital-signs",
        f"patient/Observation.rs?category={OBSERVATION_CATEGORY}|laboratory",
    )
    code = stage.decided(asking, without=("patient/Condition.rs", "patient/Observation.rs"), parts=parts)["code"]
    granted = stage.exchange(asking, code).json()
    scopes = set(granted["scope"].split())
    assert set(parts) <= scopes
    assert "patient/Patient.rs" in scopes
    assert not {"patient/Condition.rs", "patient/Observation.rs"} & scopes
    token = granted["access_token"]
    assert stage.found("/fhir/Condition?patient=anna", token) == ["Condition/anna-asthma"]
    kept = ["Observation/anna-glucose", "Observation/anna-pulse", "Observation/anna-weight"]
    assert stage.found("/fhir/Observation?patient=anna", token) == kept


@pytest.mark.parametrize(
    ("language", "words"), [("en", "Keep access when you are not here"), ("zh-CN", "在您离开后保持访问")]
)
def test_a15_lasting_access_is_told_plainly(stage: Stage, language: str, words: str) -> None:
    for scope, is_lasting in ((SCOPE, False), (SCOPE + " offline_access", True)):
        place = str(stage.approval_page(stage.ask(scope)).url)
        page = stage.browser().client.get(place, headers={"Accept-Language": language})
        labels = html.fromstring(page.text).xpath("//label[starts-with(@for, 'lasting-')]")
        assert [words in str(each.text_content()) for each in labels] == [True] * is_lasting


def test_a16_the_approval_page_is_guarded(stage: Stage) -> None:
    page = stage.approval_page(stage.ask(SCOPE))
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "no-store" in page.headers["cache-control"]
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-content-type-options"] == "nosniff"


def test_a16_forms_of_others_are_refused(stage: Stage) -> None:
    asking = stage.ask(SCOPE)
    page = stage.approval_page(asking)
    browser = stage.browser()
    (field,) = {str(each) for each in html.fromstring(page.text).xpath("//input[@name='form_token']/@name")}
    for forged in ("", "x" * 40):
        assert browser.send(page, "/oauth/approve", having="act", act="allow", **{field: forged}).status_code == 403
    elsewhere = Browser(stage.url)
    request = page.url.params["request"]
    answer = elsewhere.post("/oauth/approve", [("request", request), ("act", "allow"), ("scope", "patient/Patient.rs")])
    elsewhere.close()
    assert (answer.status_code, answer.is_redirect) == (403, False)
    assert "code" in stage.decided(asking)


def test_a17_the_answer_names_its_issuer(stage: Stage) -> None:
    assert stage.decided(stage.ask(SCOPE))["iss"] == f"{stage.url}/oauth"
    assert stage.decided(stage.ask(SCOPE), act="deny")["iss"] == f"{stage.url}/oauth"
    assert stage.decided(stage.ask(SCOPE, response_type="token"))["iss"] == f"{stage.url}/oauth"
