"""Who may sign in to the demonstration: a nurse, a radiologist, an app, and a token for trying things at once.

Passwords are made anew at each start and stand only on the screen; the token lasts an hour.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.access.roles import NURSE, RADIOLOGIST
from server.assembly import Services
from server.audit.who import Who
from server.authorization import Authorization
from server.kernel.ids import new_token
from server.smart.digest import digest, new_secret
from server.smart.model import Approval, Client, Token, User
from server.smart.moments import HOUR, micros
from server.smart.recovery import new_codes
from server.smart.standing import ACCESS

APP = "weft-demo"
REDIRECT = "http://localhost:8000/"
_SCOPES = ("launch", "launch/patient", "openid", "fhirUser", "offline_access", "online_access", "patient/*.cruds")
_TOKEN_SCOPES = ("user/*.cruds",)
_BY = Who(name="demonstration")


@dataclass(frozen=True, slots=True)
class Guest:
    login: str
    name: str
    role: str
    fhir_user: str


GUESTS = (
    Guest("nurse", "周静 Zhou Jing", NURSE, "Practitioner/ward-nurse-1"),
    Guest("radiologist", "吴敏 Wu Min", RADIOLOGIST, "Practitioner/ward-radiologist"),
)
"""They stand in the ward's records."""


@dataclass(frozen=True, slots=True)
class Admitted:
    passwords: dict[str, str]
    token: str
    """Of the radiologist."""


async def admit(services: Services) -> Admitted:
    smart = services.smart
    await smart.store.save(_app(micros(smart.clock)))
    passwords, users = {}, {}
    for guest in GUESTS:
        passwords[guest.login] = "-".join(new_codes()[0].split("-")[:3])
        users[guest.login] = await _user(smart, guest, passwords[guest.login])
    return Admitted(passwords, await _token(smart, users["radiologist"]))


async def _user(smart: Authorization, guest: Guest, password: str) -> User:
    held = await smart.store.user_by_login(guest.login)
    if held is not None:
        return await smart.users.set_password(_BY, held.value, password)
    return await smart.users.create(
        _BY, guest.login, guest.name, (guest.role,), password, fhir_user=guest.fhir_user, must_change=False
    )


async def _token(smart: Authorization, user: User) -> str:
    """As if the radiologist had just let the app in."""
    at, value = micros(smart.clock), new_secret()
    approval = Approval(
        new_token(16), APP, _TOKEN_SCOPES, user=user.id, auth_time=at, methods=("pwd",), created=at, expires=at + HOUR
    )
    token = Token(digest(value), approval.id, ACCESS, _TOKEN_SCOPES, at, at + HOUR)
    await smart.store.commit(smart.store.put(approval, 0), smart.store.put(token, 0))
    return value


def _app(created: int) -> Client:
    return Client(APP, "Weft demonstration", "none", (*_SCOPES, *_TOKEN_SCOPES), (REDIRECT,), REDIRECT, created=created)
