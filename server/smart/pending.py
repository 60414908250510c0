"""A valid authorization request as it waits for its user, and the same again for the core once it is decided."""

from __future__ import annotations

from server.smart.authorize_rules import max_age_of, prompts_of, purpose_of
from server.smart.digest import digest, new_secret
from server.smart.lockout import network_of
from server.smart.model import Client, User
from server.smart.protocol_case import Case
from server.smart.recording import Caller
from server.smart.requests import LIFETIME, PendingRequest


def pending_of(case: Case, scope: str, caller: Caller) -> tuple[PendingRequest, str]:
    """With the value it is found by, which is kept nowhere."""
    form, value = case.form, new_secret()
    scopes = tuple(scope.split())
    if "offline_access" in scopes:
        scopes = tuple(each for each in scopes if each != "online_access")
    pending = PendingRequest(
        digest(value),
        form["client_id"],
        form["redirect_uri"],
        form["state"],
        scopes,
        form["code_challenge"],
        case.issuer,
        nonce=form.get("nonce", ""),
        launch=case.launch.id if case.launch else "",
        purpose=purpose_of(case),
        prompts=prompts_of(form),
        login_hint=form.get("login_hint", ""),
        max_age=max_age_of(form),
        locales=form.get("ui_locales", ""),
        network=network_of(caller.peer),
        created=case.now,
        expires=case.now + LIFETIME,
    )
    return pending, value


def case_of(pending: PendingRequest, client: Client, now: int, user: User | None) -> Case:
    """The request again, as it was valid before."""
    form = {
        "response_type": "code",
        "client_id": pending.client,
        "redirect_uri": pending.redirect,
        "scope": " ".join(pending.scopes),
        "state": pending.state,
        "code_challenge": pending.challenge,
        "code_challenge_method": "S256",
    }
    return Case(form, pending.issuer, now, client=client, user=user)
