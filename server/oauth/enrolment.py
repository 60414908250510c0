"""The page on which a second factor is added, at a first sign-in or from the account page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import segno

from server.http.surface import Answer
from server.oauth.desk import Desk, Visitor
from server.oauth.form import Form
from server.oauth.page import Openings
from server.smart import totp
from server.smart.model import User
from server.smart.second_factors import SecondFactors
from server.smart.security_keys import Party
from server.smart.sign_in import Proof

_ISSUER = "Weft"


@dataclass(frozen=True, slots=True)
class Enrolment:
    desk: Desk
    factors: SecondFactors

    async def show(
        self, visitor: Visitor, holder: str, user: User, values: Mapping[str, Any], error: str = ""
    ) -> Answer:
        """`values` hold `action`, the path the forms are posted to, and `is_first`."""
        secret = await self.factors.begin_app(holder, user)
        party = Party.of(visitor.call.base)
        told = {
            "qr": _drawn(totp.uri(secret, user.login, _ISSUER)),
            "secret": " ".join(secret[place : place + 4] for place in range(0, len(secret), 4)),
            "options": await self.factors.begin_key(holder, user, party) if party is not None else None,
            "error": error,
            **values,
        }
        openings = Openings(script=party is not None)
        return self.desk.show(visitor, "enrol", told, status=400 if error else 200, openings=openings)

    async def confirmed(self, visitor: Visitor, holder: str, user: User, form: Form) -> Proof | None:
        """What was enrolled; `None` where the form does not prove that it works."""
        if form.one("proof") == Proof.KEY:
            party, answer = Party.of(visitor.call.base), form.one("answer")
            name = " ".join(form.one("name").split())
            is_done = party is not None and await self.factors.confirm_key(holder, user.id, party, answer, name)
            return Proof.KEY if is_done else None
        return Proof.APP if await self.factors.confirm_app(holder, user.id, form.one("code")) else None

    async def codes(self, visitor: Visitor, user: User, following: str) -> Answer:
        """New recovery codes, on a page that leads on to `following`."""
        codes = await self.factors.new_recovery_codes(user.id)
        # There is no second look at this page, so neither is there one in another language.
        return self.desk.show(visitor, "codes", {"codes": codes, "following": following, "switches": []})


def wrong(form: Form) -> str:
    """The key of the sentence for a form that proved nothing."""
    return "enrol.key.wrong" if form.one("proof") == Proof.KEY else "enrol.wrong"


def _drawn(text: str) -> str:
    """As SVG inside the page; white round it, whatever the page's colours, or cameras do not find it."""
    return segno.make(text, error="m", micro=False).svg_inline(omitsize=True, border=4, dark="#000", light="#fff")
