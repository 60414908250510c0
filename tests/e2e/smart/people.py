"""Who signs in: one person for each role, all with an authenticator app."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import pyotp
from msgspec.structs import replace

from server.audit.who import Who
from server.groundwork import Groundwork

PASSWORD = "three boats at noon"
_BY = Who(name="test")


@dataclass
class Person:
    """A user and the authenticator app in their hand."""

    login: str
    roles: Sequence[str]
    fhir_user: str = ""
    own_patients: Sequence[str] = ()
    secret: str = ""
    last_step: int = 0

    def code(self) -> str:
        """One that was not used yet: the present one, or the next, which the server's grace lets through."""
        step = max(self.last_step + 1, int(time.time()) // 30)
        self.last_step = step
        return str(pyotp.HOTP(self.secret).at(step))


def people() -> dict[str, Person]:
    all_ = (
        Person("nurse", ("nurse",), "Practitioner/nurse"),
        Person("second-nurse", ("nurse",), "Practitioner/second-nurse"),
        Person("leaver", ("nurse",), "Practitioner/leaver"),
        Person("mover", ("nurse",), "Practitioner/nurse"),
        Person("radiologist", ("radiologist",), "Practitioner/radiologist"),
        Person("anna", ("patient",), "Patient/anna", ("anna",)),
        Person("proxy", ("proxy",), "RelatedPerson/proxy", ("anna", "carl")),
        Person("administrator", ("administrator",)),
        Person("auditor", ("auditor",)),
    )
    return {each.login: each for each in all_}


async def admit(ground: Groundwork, person: Person) -> None:
    users = ground.smart.users
    person.secret = pyotp.random_base32()
    user = await users.create(
        _BY,
        person.login,
        person.login.title(),
        person.roles,
        PASSWORD,
        fhir_user=person.fhir_user,
        own_patients=person.own_patients,
        must_change=False,
    )
    await users.change(user.id, lambda user: replace(user, totp=person.secret))
