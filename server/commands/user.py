"""`weft user`: who may sign in. Passwords are asked for or made up, and never stand on the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from server.access.roles import USER_ROLES
from server.commands.acting import acting, administrator, day, say, show
from server.commands.configuration import fail
from server.commands.options import Data, Records, group
from server.groundwork import Groundwork
from server.smart.model import User
from server.smart.recovery import new_codes

users = group("user", "Who may sign in, and as what.")

_ROLES = sorted(USER_ROLES)

Login = Annotated[str, typer.Argument(help="What the user signs in with.")]
Roles = Annotated[list[str], typer.Argument(help=f"Of: {', '.join(_ROLES)}.")]


@users.command()
def add(
    login: Login,
    roles: Roles,
    name: Annotated[str, typer.Option(help="Full name, as others see it.")] = "",
    fhir_user: Annotated[str, typer.Option(help="Practitioner/12, Patient/7: who this is in the records.")] = "",
    patient: Annotated[list[str] | None, typer.Option(help="Logical id of a patient acted for; repeat it.")] = None,
    ask: Annotated[bool, typer.Option("--ask", help="Ask for the password instead of making one up.")] = False,
    data: Data = None,
    records: Records = None,
) -> None:
    """Make a user with one or more roles, and tell a password for the first sign-in."""
    _check_roles(roles)
    password = _asked() if ask else new_codes()[0]

    async def work(ground: Groundwork) -> User:
        return await ground.smart.users.create(
            administrator(), login, name or login, roles, password, fhir_user=fhir_user, own_patients=patient or ()
        )

    user = acting(work, data, records)
    say(f"{user.login} may sign in as {', '.join(user.roles)}.")
    if not ask:
        _tell(password)


@users.command()
def role(login: Login, roles: Roles, data: Data = None, records: Records = None) -> None:
    """Give a user other roles. They replace the present ones, and everything the user has open ends."""
    _check_roles(roles)
    user = acting(lambda ground: ground.smart.users.set_roles(administrator(), login, roles), data, records)
    say(f"{user.login} is now {', '.join(user.roles)}.")


@users.command()
def reset(
    login: Login,
    factors: Annotated[bool, typer.Option("--factors", help="Forget second factors too: a lost telephone.")] = False,
    data: Data = None,
    records: Records = None,
) -> None:
    """Make up a password for one sign-in, after which the user chooses another. Everything the user has open ends."""
    password = acting(
        lambda ground: ground.smart.users.reset(administrator(), login, keeps_factors=not factors), data, records
    )
    _tell(password)


@users.command()
def unlock(login: Login, data: Data = None, records: Records = None) -> None:
    """Let a user try again at once who failed too often."""
    acting(lambda ground: ground.smart.users.unlock(administrator(), login), data, records)
    say(f"{login} may try again.")


@users.command()
def deactivate(login: Login, data: Data = None, records: Records = None) -> None:
    """Close an account: no sign-in any more, and everything the user has open ends."""
    acting(lambda ground: ground.smart.users.set_active(administrator(), login, False), data, records)
    say(f"{login} may not sign in any more.")


@users.command()
def activate(login: Login, data: Data = None, records: Records = None) -> None:
    """Open an account again."""
    acting(lambda ground: ground.smart.users.set_active(administrator(), login, True), data, records)
    say(f"{login} may sign in.")


@users.command("list")
def list_(data: Data = None, records: Records = None) -> None:
    """Show every user."""
    found = acting(lambda ground: ground.smart.store.every(User), data, records)
    rows = [_row(held.value) for held in sorted(found, key=lambda held: held.value.login.casefold())]
    show(("LOGIN", "NAME", "ROLES", "IN THE RECORDS", "SECOND FACTOR", "SINCE", ""), rows, "There is no user yet.")


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


def _asked() -> str:
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _tell(password: str) -> None:
    say(f"Password for the first sign-in, shown only now: {password}")
