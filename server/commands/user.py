"""`weft user`: who may sign in. Passwords are asked for or made up, and never stand on the command line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from server.access.roles import PATIENT, PROXY, USER_ROLES
from server.commands.acting import acting, administrator, day, say, show
from server.commands.configuration import fail, settings_or_exit
from server.commands.options import Data, Records, group
from server.groundwork import Groundwork
from server.smart.model import User
from server.smart.recovery import new_codes

users = group("user", "Who may sign in, and as what.")

_ROLES = sorted(USER_ROLES)

_SOMEBODY = re.compile(r"(Practitioner|PractitionerRole|Patient|RelatedPerson|Person)/[A-Za-z0-9\-.]{1,64}", re.ASCII)
_ID = re.compile(r"(?:Patient/)?([A-Za-z0-9\-.]{1,64})", re.ASCII)
_OTHERS = "`weft user list` shows all"

Login = Annotated[str, typer.Argument(help="What the user signs in with.")]
Roles = Annotated[list[str], typer.Argument(help=f"Of: {', '.join(_ROLES)}.")]
Somebody = Annotated[str, typer.Option(help="Practitioner/12, Patient/7: who this is in the records.")]
Patients = Annotated[list[str] | None, typer.Option(help="Logical id of a patient acted for; repeat it.")]


@users.command()
def add(
    login: Login,
    roles: Roles,
    name: Annotated[str, typer.Option(help="Full name, as others see it.")] = "",
    fhir_user: Somebody = "",
    patient: Patients = None,
    ask: Annotated[bool, typer.Option("--ask", help="Ask for the password instead of making one up.")] = False,
    data: Data = None,
    records: Records = None,
) -> None:
    """Make a user, and tell a password for the first sign-in.

    Patients and proxies see those named with --patient, and a patient who is --fhir-user Patient/7 their own records.
    """
    _check_roles(roles)
    patients = _patients(fhir_user, patient)
    if {PATIENT, PROXY} & set(roles) and not patients:
        fail("a patient or proxy would see nobody: name whom, with --patient ID or --fhir-user Patient/ID")
    password = _asked() if ask else new_codes()[0]

    async def work(ground: Groundwork) -> User:
        return await ground.smart.users.create(
            administrator(), login, name or login, roles, password, fhir_user=fhir_user, own_patients=patients
        )

    user = acting(work, data, records, _OTHERS)
    say(f"{user.login} may sign in as {', '.join(user.roles)}.")
    if not ask:
        _tell(password)
    _tell_where(data)


@users.command()
def role(
    login: Login,
    roles: Roles,
    fhir_user: Somebody = "",
    patient: Patients = None,
    data: Data = None,
    records: Records = None,
) -> None:
    """Give a user other roles in place of the present ones. Everything the user has open ends."""
    _check_roles(roles)
    patients = _patients(fhir_user, patient)

    async def work(ground: Groundwork) -> User:
        return await ground.smart.users.set_roles(
            administrator(), login, roles, fhir_user=fhir_user, own_patients=patients
        )

    user = acting(work, data, records, _OTHERS)
    say(f"{user.login} is now {', '.join(user.roles)}.")
    if {PATIENT, PROXY} & set(roles) and not user.own_patients:
        say("This user sees nobody yet: name whom, with --patient ID.")


@users.command()
def reset(
    login: Login,
    factors: Annotated[bool, typer.Option("--factors", help="Forget second factors too: a lost telephone.")] = False,
    data: Data = None,
    records: Records = None,
) -> None:
    """Make up another password, for one sign-in.

    The user then chooses one of their own. Everything the user has open ends.
    """
    password = acting(
        lambda ground: ground.smart.users.reset(administrator(), login, keeps_factors=not factors),
        data,
        records,
        _OTHERS,
    )
    _tell(password)
    _tell_where(data)


@users.command()
def unlock(login: Login, data: Data = None, records: Records = None) -> None:
    """Let a user try again who failed too often."""
    acting(lambda ground: ground.smart.users.unlock(administrator(), login), data, records, _OTHERS)
    say(f"{login} may try again.")


@users.command()
def deactivate(login: Login, data: Data = None, records: Records = None) -> None:
    """Close an account. Everything the user has open ends."""
    acting(lambda ground: ground.smart.users.set_active(administrator(), login, False), data, records, _OTHERS)
    say(f"{login} may not sign in any more.")


@users.command()
def activate(login: Login, data: Data = None, records: Records = None) -> None:
    """Open an account again."""
    acting(lambda ground: ground.smart.users.set_active(administrator(), login, True), data, records, _OTHERS)
    say(f"{login} may sign in.")


@users.command("list")
def list_(data: Data = None, records: Records = None) -> None:
    """Show every user."""
    found = acting(lambda ground: ground.smart.store.every(User), data, records)
    rows = [_row(held.value) for held in sorted(found, key=lambda held: held.value.login.casefold())]
    show(
        ("LOGIN", "NAME", "ROLES", "IN THE RECORDS", "SECOND FACTOR", "SINCE", ""),
        rows,
        "There is no user yet; let somebody in with: weft user add LOGIN ROLE",
    )


def _row(user: User) -> tuple[str, ...]:
    factors = [*(["TOTP"] if user.totp else []), *(f"key {each.name}" for each in user.webauthn)]
    patients = [f"for Patient/{each}" for each in user.own_patients]
    return (
        user.login,
        user.name,
        ", ".join(user.roles),
        ", ".join([*filter(None, [user.fhir_user]), *patients]),
        ", ".join(factors) or "none",
        day(user.created),
        "" if user.is_active else "closed",
    )


def _check_roles(roles: list[str]) -> None:
    wrong = [each for each in roles if each not in _ROLES]
    if wrong:
        fail(f"{', '.join(wrong)}: no such role; there are {', '.join(_ROLES)}")


def _patients(fhir_user: str, named: list[str] | None) -> list[str]:
    """Logical ids of those acted for; a patient by name acts for themselves."""
    if fhir_user and not _SOMEBODY.fullmatch(fhir_user):
        fail(f"--fhir-user {fhir_user}: give it as Practitioner/12, PractitionerRole/4, Patient/7 or RelatedPerson/3")
    if named is None and fhir_user.startswith("Patient/"):
        named = [fhir_user]
    found = []
    for each in named or ():
        matched = _ID.fullmatch(each)
        if matched is None:
            fail(f"--patient {each}: give the logical id of a Patient, as 7 or Patient/7")
        found.append(matched[1])
    return found


def _asked() -> str:
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _tell(password: str) -> None:
    say(f"Password for the first sign-in, shown only now: {password}")


def _tell_where(data: Path | None) -> None:
    say(f"Sign in at {settings_or_exit(data=data).own_url}/oauth/account")
