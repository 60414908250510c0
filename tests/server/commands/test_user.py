"""`weft user`: accounts, roles and passwords at the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.groundwork import Groundwork
from server.smart.model import User
from server.smart.sign_in import Caller, Entered, Halfway
from tests.server.commands.administering import asking, refused, told, weft

MARK = "Password for the first sign-in, shown only now: "


def password_of(text: str) -> str:
    return text.split(MARK)[1].split()[0]


def user_of(data: Path, login: str) -> User:
    async def question(ground: Groundwork) -> User:
        return await ground.smart.users.of_login(login)

    return asking(data, question)


def begins(data: Path, login: str, password: str) -> Halfway | Entered:
    async def question(ground: Groundwork) -> Halfway | Entered:
        return await ground.smart.people.sign_in.begin(login, password, Caller())

    return asking(data, question)


def test_a_user_is_made_with_a_password_told_once(tmp_path: Path) -> None:
    text = told(tmp_path, "user", "add", "li", "nurse", "--name", "李娜", "--fhir-user", "Practitioner/12")
    user = user_of(tmp_path, "li")
    assert (user.name, user.roles, user.fhir_user, user.must_change) == ("李娜", ("nurse",), "Practitioner/12", True)
    assert isinstance(begins(tmp_path, "LI", password_of(text)), Halfway)


def test_a_password_is_asked_for_and_not_shown(tmp_path: Path) -> None:
    text = told(tmp_path, "user", "add", "li", "nurse", "--ask", typed="gentle-harbour-9\ngentle-harbour-9\n")
    assert "gentle-harbour-9" not in text
    assert isinstance(begins(tmp_path, "li", "gentle-harbour-9"), Halfway)


def test_a_weak_password_a_taken_login_and_a_strange_role_are_refused(tmp_path: Path) -> None:
    assert (
        "shorter" in refused(tmp_path, "user", "add", "li", "nurse", "--ask", typed="short\nshort\n").split("weft:")[1]
    )
    told(tmp_path, "user", "add", "li", "nurse")
    assert "taken" in refused(tmp_path, "user", "add", "LI", "auditor")
    for role in ("server", "system", "king"):
        assert "no such role" in refused(tmp_path, "user", "add", "wang", role)


def test_roles_are_replaced(tmp_path: Path) -> None:
    told(tmp_path, "user", "add", "li", "nurse")
    assert "auditor" in told(tmp_path, "user", "role", "li", "auditor", "administrator")
    assert user_of(tmp_path, "li").roles == ("auditor", "administrator")


def test_a_reset_gives_another_password(tmp_path: Path) -> None:
    first = password_of(told(tmp_path, "user", "add", "li", "nurse"))
    second = password_of(told(tmp_path, "user", "reset", "li", "--factors"))
    assert first != second
    assert isinstance(begins(tmp_path, "li", second), Halfway)


def test_an_account_is_closed_opened_and_unlocked(tmp_path: Path) -> None:
    told(tmp_path, "user", "add", "li", "nurse")
    told(tmp_path, "user", "deactivate", "li")
    assert not user_of(tmp_path, "li").is_active
    assert "closed" in told(tmp_path, "user", "list")
    told(tmp_path, "user", "activate", "li")
    assert user_of(tmp_path, "li").is_active
    assert "may try again" in told(tmp_path, "user", "unlock", "li")


def test_the_list_shows_everyone_and_no_secret(tmp_path: Path) -> None:
    assert "no user yet" in told(tmp_path, "user", "list")
    password = password_of(told(tmp_path, "user", "add", "[bold]li", "proxy", "--patient", "ward-03"))
    text = told(tmp_path, "user", "list")
    assert "[bold]li" in text
    assert "Patient/ward-03" in text
    assert password not in text
    assert "argon2" not in text


@pytest.mark.parametrize("command", ["role", "reset", "unlock", "deactivate"])
def test_who_is_not_there_is_told(tmp_path: Path, command: str) -> None:
    more = ["nurse"] if command == "role" else []
    assert "no such user" in refused(tmp_path, "user", command, "nobody", *more)


def test_a_patient_acts_for_themselves_and_a_proxy_for_whom_is_named(tmp_path: Path) -> None:
    told(tmp_path, "user", "add", "sun", "patient", "--fhir-user", "Patient/7")
    told(tmp_path, "user", "add", "mother", "proxy", "--patient", "Patient/7", "--patient", "8")
    assert user_of(tmp_path, "sun").own_patients == ("7",)
    assert user_of(tmp_path, "mother").own_patients == ("7", "8")
    told(tmp_path, "user", "role", "mother", "proxy", "--patient", "9")
    assert user_of(tmp_path, "mother").own_patients == ("9",)
    assert "would see nobody" in refused(tmp_path, "user", "add", "wu", "proxy")
    assert "logical id" in refused(tmp_path, "user", "add", "wu", "proxy", "--patient", "a/b/c")
    assert "Practitioner/12" in refused(tmp_path, "user", "add", "wu", "nurse", "--fhir-user", "wu")


def test_who_gets_another_role_keeps_who_they_are(tmp_path: Path) -> None:
    told(tmp_path, "user", "add", "li", "nurse", "--fhir-user", "Practitioner/12")
    assert "sees nobody yet" in told(tmp_path, "user", "role", "li", "patient")
    assert user_of(tmp_path, "li").fhir_user == "Practitioner/12"


def test_what_is_not_there_is_told_with_where_to_look(tmp_path: Path) -> None:
    text = refused(tmp_path, "user", "reset", "nobody")
    assert "no such user: nobody; `weft user list` shows all" in text


def test_a_list_for_another_program_has_a_line_for_each(tmp_path: Path) -> None:
    name = "a name that is much longer than one would have it " * 3
    told(tmp_path, "user", "add", "li", "nurse", "--name", name.strip())
    assert len(told(tmp_path, "user", "list").splitlines()) == 2


def test_what_is_done_is_in_the_audit_trail(tmp_path: Path) -> None:
    password = password_of(told(tmp_path, "user", "add", "li", "nurse"))

    async def question(ground: Groundwork) -> str:
        assert ground.audit is not None
        page = await ground.audit.recorder.events("", 10)
        return repr(page.events)

    trail = asking(tmp_path, question)
    assert f"User/{user_of(tmp_path, 'li').id}" in trail
    assert "(command line)" in trail
    assert password not in trail


def test_passwords_are_no_arguments(tmp_path: Path) -> None:
    assert weft(tmp_path, "user", "add", "li", "nurse", "--password", "three boats at noon").exit_code == 2


def test_without_sign_in_nobody_is_let_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEFT_AUTH", "off")
    assert "WEFT_AUTH=off" in refused(tmp_path, "user", "add", "li", "nurse")
