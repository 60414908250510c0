"""`weft examination`: examination numbers that came for two people, and what becomes of them."""

from __future__ import annotations

from typing import Annotated

import typer

from server.assembly import Services
from server.audit.security_events import Changed, changed
from server.commands.acting import administrator, day, say, show
from server.commands.options import Data, Records, group
from server.commands.over_services import at_the_command_line, over_services
from server.kernel.clock import micros
from server.kernel.problem import Kind, Problem
from server.mpi.examination_conflicts import ExaminationConflicts
from server.mpi.regional_index import Conflict, Examination
from storage.ports import Put

examinations = group("examination", "Examination numbers that came for two people.")

_OTHERS = "`weft examination conflicts` shows all"
_STILL = "`weft person link` makes two patients one person, `--dismiss` leaves the study without the number."

Id = Annotated[str, typer.Argument(help="As `weft examination conflicts` shows it.")]


@examinations.command()
def conflicts(data: Data = None, records: Records = None) -> None:
    """Show the numbers that came for two people.

    The images that came later have no regional index.
    """

    async def work(services: Services) -> list[tuple[str, Conflict]]:
        return await _conflicts(services).open()

    rows = [
        (id, each.institution, each.number, each.index, each.patient, each.study, day(each.at), each.by)
        for id, each in over_services(work, data, records)
    ]
    headings = ("ID", "INSTITUTION", "NUMBER", "INDEX", "CAME FOR", "STUDY", "AT", "BY")
    show(headings, rows, "Every examination number is one person's.")


@examinations.command()
def settle(
    id: Id,
    dismiss: Annotated[bool, typer.Option("--dismiss", help="They are two people, and the number was wrong.")] = False,
    data: Data = None,
    records: Records = None,
) -> None:
    """Register the images under the number, or dismiss it.

    They can be registered once both patients are one person.
    """

    async def dismissed(services: Services) -> None:
        await _conflicts(services).dismiss(id, _told(services, id, "dismissed"))

    async def settled(services: Services) -> Examination:
        try:
            return await _conflicts(services).settle(at_the_command_line(), id, _told(services, id, "settled"))
        except Problem as problem:
            if problem.kind is Kind.CONFLICT:
                raise Problem(Kind.INVALID, f"{problem.text.rstrip('.')}; {_STILL}") from problem
            raise

    if dismiss:
        over_services(dismissed, data, records, _OTHERS)
        say("The conflict is dismissed.")
    else:
        made = over_services(settled, data, records, _OTHERS)
        say(f"{made.number} of {made.institution}: {made.index}")


def _conflicts(services: Services) -> ExaminationConflicts:
    documents = services.documents
    return ExaminationConflicts(documents.index, documents.registry.shelf.records)


def _told(services: Services, id: str, how: str) -> tuple[Put, ...]:
    at = micros(services.clock)
    event = changed(at, administrator(), Changed.CONFIGURATION, "U", f"examination conflict {id}", how)
    return tuple(services.smart.recording.acts([event]))
