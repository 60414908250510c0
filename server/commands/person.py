"""`weft person`: who is who in the master index, what may be one, and taking acts back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from server.assembly import Services
from server.commands.acting import day, say, show
from server.commands.configuration import fail
from server.commands.options import Data, Records, group
from server.commands.over_services import at_the_command_line, over_services
from server.kernel.problem import Kind, Problem
from server.mpi.identity import Identifier, PatientIdentity
from server.mpi.lookup import Asked, Found
from server.mpi.master_index import MasterIndex
from server.mpi.number import is_number
from server.mpi.reviewing import Proposed, Told

persons = group("person", "Patients of several hospitals who are one person.")

T = TypeVar("T")

Patient = Annotated[str, typer.Argument(help="Logical id of a Patient.")]
Other = Annotated[str, typer.Argument(help="Logical id of the other Patient.")]
Proposal = Annotated[str, typer.Argument(help="Id, as `weft person proposals` shows it.")]
Act = Annotated[str, typer.Argument(help="Id, as `weft person history` shows it.")]
Why = Annotated[str, typer.Option(help="Reason, kept with the act.")]


@persons.command("show")
def show_(
    who: Annotated[
        str, typer.Argument(help="Logical id of a Patient, a master number, or an identifier as system|value.")
    ],
    data: Data = None,
    records: Records = None,
) -> None:
    """Show the person a Patient or a number stands for."""

    async def work(index: MasterIndex) -> PatientIdentity:
        system, bar, value = who.rpartition("|")
        if bar or is_number(who):
            found = await index.resolve(Identifier(system or index.system, value))
        else:
            found = await index.of_patient(_reference(who))
        if found is None:
            raise Problem(Kind.NOT_FOUND, "The master index knows nobody by that.")
        return found

    _tell(_over(work, data, records))


@persons.command()
def proposals(data: Data = None, records: Records = None) -> None:
    """Show pairs of patients that may be one person."""

    async def work(index: MasterIndex) -> list[Proposed]:
        return list(await index.proposals(at_the_command_line()))

    rows = [
        (
            each.id,
            *each.proposal.patients,
            each.proposal.grade,
            f"{each.proposal.score:.3f}",
            "; ".join(each.proposal.reasons),
        )
        for each in _over(work, data, records)
    ]
    show(("ID", "PATIENT", "PATIENT", "GRADE", "SCORE", "BECAUSE"), rows, "There is nothing to decide.")


@persons.command()
def confirm(proposal: Proposal, why: Why = "", data: Data = None, records: Records = None) -> None:
    """The two patients of a proposal are one person."""

    async def work(index: MasterIndex) -> PatientIdentity:
        return await index.confirm(at_the_command_line(), proposal, why)

    _tell(_over(work, data, records))


@persons.command()
def reject(proposal: Proposal, why: Why = "", data: Data = None, records: Records = None) -> None:
    """The two patients of a proposal are two."""

    async def work(index: MasterIndex) -> None:
        await index.reject(at_the_command_line(), proposal, why)

    _over(work, data, records)
    say("They are two, and will not be proposed again.")


@persons.command()
def link(patient: Patient, other: Other, why: Why = "", data: Data = None, records: Records = None) -> None:
    """Two patients are one person; the first one's number stays."""

    async def work(index: MasterIndex) -> PatientIdentity:
        return await index.link(at_the_command_line(), _reference(patient), _reference(other), why)

    _tell(_over(work, data, records))


@persons.command()
def unlink(patient: Patient, why: Why = "", data: Data = None, records: Records = None) -> None:
    """A patient is a person of its own again."""

    async def work(index: MasterIndex) -> PatientIdentity:
        return await index.unlink(at_the_command_line(), _reference(patient), why)

    _tell(_over(work, data, records))


@persons.command()
def history(patient: Patient, data: Data = None, records: Records = None) -> None:
    """Show every act upon a patient's person, the latest first."""

    async def work(index: MasterIndex) -> list[Told]:
        return list(await index.history(at_the_command_line(), _reference(patient)))

    rows = [
        (
            each.id,
            day(each.act.at),
            each.act.kind,
            each.act.survivor,
            each.act.other,
            each.act.by,
            each.act.why,
            "undone" if each.act.undone_by else "",
        )
        for each in _over(work, data, records)
    ]
    show(("ID", "AT", "ACT", "NUMBER", "OTHER", "BY", "WHY", ""), rows, "Nothing was done with this patient.")


@persons.command()
def examinations(
    number: Annotated[str, typer.Option(help="Examination number (accession number).")] = "",
    index: Annotated[str, typer.Option(help="Regional index.")] = "",
    institution: Annotated[str, typer.Option(help="Code of the institution, beside another one.")] = "",
    citizen: Annotated[bool, typer.Option("--citizen", help="By a citizen number, which is asked for.")] = False,
    data: Data = None,
    records: Records = None,
) -> None:
    """Show where the images of an examination are."""
    # Asked for, because what stands on a command line is kept by the shell.
    asked = Asked(index, typer.prompt("Citizen number", hide_input=True) if citizen else "", number, institution)

    async def work(services: Services) -> list[Found]:
        return await services.documents.lookup().find(at_the_command_line(), asked)

    rows = [
        (each.examination.index, each.institution or each.examination.institution, each.examination.number, study.url)
        for each in over_services(work, data, records)
        for study in each.studies
    ]
    show(("INDEX", "INSTITUTION", "NUMBER", "IMAGES"), rows, "No images of such an examination are here.")


@persons.command()
def undo(act: Act, why: Why = "", data: Data = None, records: Records = None) -> None:
    """Take an act back."""

    async def work(index: MasterIndex) -> None:
        await index.undo(at_the_command_line(), act, why)

    _over(work, data, records)
    say("The act is undone.")


def _over(work: Callable[[MasterIndex], Awaitable[T]], data: Path | None, records: str | None) -> T:
    async def act(services: Services) -> T:
        return await work(services.documents.master)

    return over_services(act, data, records)


def _reference(patient: str) -> str:
    id = patient.removeprefix("Patient/")
    if not id or "/" in id:
        fail(f"{patient}: the logical id of a Patient")
    return f"Patient/{id}"


def _tell(identity: PatientIdentity) -> None:
    say(f"{identity.number.value}: {', '.join(identity.patients)}")
    if identity.former:
        say(f"replaced {', '.join(each.value for each in identity.former)}")
