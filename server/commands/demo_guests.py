"""Who may sign in to the demonstration: a nurse, a radiologist, an app, and tokens for trying things at once.

Passwords are made anew at each start and stand only on the screen; the tokens last an hour. One is the radiologist's;
with the others services keep consents and read the audit trail, which clinicians may not.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from server.access.roles import AUDITOR, NURSE, RADIOLOGIST, RECORDER
from server.assembly import Services
from server.audit.who import Who
from server.authorization import Authorization
from server.kernel.clock import HOUR, micros
from server.kernel.ids import new_token
from server.smart.client_authentication import BY_KEY
from server.smart.digest import digest, new_secret
from server.smart.grant_types import BACKEND
from server.smart.launches import CREATE
from server.smart.model import Approval, Client, Token, User
from server.smart.recovery import new_codes
from server.smart.standing import ACCESS

APP = "weft-demo"
REDIRECT = "http://localhost:8000/"
_SCOPES = ("launch", "launch/patient", "openid", "fhirUser", "offline_access", "online_access", "patient/*.cruds")
_TOKEN_SCOPES = ("user/*.cruds", CREATE)
_SERVICES = {"RECORDER": RECORDER, "AUDITOR": AUDITOR}
_SERVICE_SCOPES = ("system/*.cruds",)
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
    tokens: dict[str, str]
    """`TOKEN` is the radiologist's."""


async def admit(services: Services) -> Admitted:
    smart = services.smart
    await smart.store.save(_app(micros(smart.clock)))
    passwords, users = {}, {}
    for guest in GUESTS:
        passwords[guest.login] = "-".join(new_codes()[0].split("-")[:3])
        users[guest.login] = await _user(smart, guest, passwords[guest.login])
    tokens = {"TOKEN": await _token(smart, APP, _TOKEN_SCOPES, users["radiologist"])}
    for name, role in _SERVICES.items():
        service = _service(role, micros(smart.clock))
        await smart.store.save(service)
        tokens[name] = await _token(smart, service.id, _SERVICE_SCOPES)
    return Admitted(passwords, tokens)


async def _user(smart: Authorization, guest: Guest, password: str) -> User:
    held = await smart.store.user_by_login(guest.login)
    if held is not None:
        return await smart.users.set_password(_BY, held.value, password)
    return await smart.users.create(
        _BY, guest.login, guest.name, (guest.role,), password, fhir_user=guest.fhir_user, must_change=False
    )


async def _token(smart: Authorization, client: str, scopes: tuple[str, ...], user: User | None = None) -> str:
    """As if the user had just let the app in, or the service had proved itself."""
    at, value = micros(smart.clock), new_secret()
    approval = Approval(new_token(16), client, scopes, created=at, expires=at + HOUR)
    if user is not None:
        approval = replace(approval, user=user.id, auth_time=at, methods=("pwd",))
    token = Token(digest(value), approval.id, ACCESS, scopes, at, at + HOUR)
    await smart.store.commit(smart.store.put(approval, 0), smart.store.put(token, 0))
    return value


def _service(role: str, created: int) -> Client:
    """It has no keys, so nobody can ask for more tokens in its name."""
    scopes, id = _SERVICE_SCOPES, f"{APP}-{role}"
    return Client(id, f"Demonstration {role}", BY_KEY, scopes, grants=(BACKEND,), roles=(role,), created=created)


def _app(created: int) -> Client:
    return Client(APP, "Weft demonstration", "none", (*_SCOPES, *_TOKEN_SCOPES), (REDIRECT,), REDIRECT, created=created)
