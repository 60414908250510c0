"""What SMART and OpenID Connect add to an authorization request, checked inside the core's own validation.

SMART App Launch 2.2 "request authorization code"; OpenID Connect Core 3.1.2.1; RFC 8707. An error found here goes back
to the app, for its redirect has been checked by then.
"""

from __future__ import annotations

import re
from typing import Any

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError

from server.smart.forms import Form
from server.smart.protocol_case import Case, Request
from server.smart.requests import NO_MAX_AGE

_USUAL_PURPOSE = "TREAT"

_PROMPTS = frozenset({"none", "login", "consent", "select_account"})
_PURPOSE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}", re.ASCII)
_ACT_REASON = ("http://terminology.hl7.org/CodeSystem/v3-ActReason", "urn:oid:2.16.840.1.113883.5.8")
_LONGEST = {"state": 4096, "nonce": 1024, "login_hint": 320, "ui_locales": 256, "scope": 8192}


class SmartRules:
    """An extension of the code grant."""

    def __call__(self, grant: Any) -> None:
        grant.register_hook("after_validate_authorization_request_payload", _check)


def _check(grant: Any, _: Any) -> None:
    request: Request = grant.request
    case = request.case
    _check_plain(case.form)
    _check_audience(case)
    _check_launch(case, str(request.scope).split())
    prompts_of(case.form)
    max_age_of(case.form)
    purpose_of(case)


def _check_plain(form: Form) -> None:
    for name in ("request", "request_uri"):
        if name in form:
            raise OAuth2Error(f"The parameter {name} is not served.", error=f"{name}_not_supported")
    if "state" not in form:
        raise InvalidRequestError("A state is required.")
    if form.get("response_mode", "query") != "query":
        raise InvalidRequestError("Only the response_mode query is served.")
    if any(len(form.get(name, "")) > longest for name, longest in _LONGEST.items()):
        raise InvalidRequestError("A parameter is too long.")


def _check_audience(case: Case) -> None:
    """`aud` names the server the app means to read, so that no other gets the token; `resource` says the same."""
    given = [case.form[name].rstrip("/") for name in ("aud", "resource") if name in case.form]
    if not given:
        raise InvalidRequestError("An aud is required: the FHIR base.")
    if any(each != case.fhir_base for each in given):
        raise InvalidRequestError("The aud is not the FHIR base of this server.")


def _check_launch(case: Case, scopes: list[str]) -> None:
    if ("launch" in scopes) != ("launch" in case.form):
        raise InvalidRequestError("The scope launch and the parameter launch go together.")
    if "launch" not in case.form:
        return
    launch = case.launch
    if launch is None or launch.expires <= case.now or launch.client != case.form.get("client_id"):
        raise InvalidRequestError("The launch is not good, or no longer.")


def prompts_of(form: Form) -> tuple[str, ...]:
    given = tuple(form.get("prompt", "").split())
    if not _PROMPTS.issuperset(given) or ("none" in given and len(given) > 1):
        raise InvalidRequestError("The prompt is not one that is served.")
    return given


def max_age_of(form: Form) -> int:
    given = form.get("max_age")
    if given is None:
        return NO_MAX_AGE
    if not re.fullmatch(r"\d{1,9}", given, re.ASCII):
        raise InvalidRequestError("The max_age is not a number of seconds.")
    return int(given)


def purpose_of(case: Case) -> str:
    """The code of ActReason that was stated, or the one the client is registered for, or treatment."""
    given = case.form.get("purpose_of_use")
    if given is None:
        return (case.client.purpose if case.client else "") or _USUAL_PURPOSE
    system, bar, code = given.rpartition("|")
    if (bar and system not in _ACT_REASON) or not _PURPOSE.fullmatch(code):
        raise InvalidRequestError("The purpose_of_use is not a code of ActReason.")
    return code
