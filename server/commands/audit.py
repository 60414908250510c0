"""`weft audit`: verifies the audit trail, gives proofs of it, and lets go of what must be erased."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo

import msgspec
import typer

from server.audit.findings import Report
from server.audit.opening import Audit
from server.audit.proofs import NoProof, check_consistency, check_inclusion, prove_consistency, prove_inclusion
from server.audit.upkeep import erased, verified
from server.commands.acting import acting, administrator, say
from server.commands.configuration import fail
from server.commands.options import Data, Records, group
from server.groundwork import Groundwork
from server.kernel.clock import micros

T = TypeVar("T")

FOUND = 1

audits = group("audit", "The audit trail: who saw and did what.")

From = Annotated[str, typer.Option("--from", help="Only what was recorded since: 2026-11-22 or 2026-11-22T09:15.")]
To = Annotated[str, typer.Option("--to", help="Only what was recorded until.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON, for machines.")]
Entry = Annotated[str, typer.Argument(help="Id of its AuditEvent, such as log-1-42.")]


@audits.command()
def verify(since: From = "", until: To = "", json: Json = False, data: Data = None, records: Records = None) -> None:
    """Check that no entry was altered, added, swapped or cut off.

    Every link, content and signed checkpoint is checked, and the witness's copies. The server may be running.

    Exit status: 0 sound, 1 something was changed, is missing or does not fit, 2 it cannot be read.
    """

    async def check(ground: Groundwork, audit: Audit) -> Report:
        zone = ZoneInfo(ground.settings.time_zone)
        report = await audit.verifier.verify(_moment(since, zone), _moment(until, zone))
        await audit.recorder.record([verified(micros(ground.clock), report, administrator().name)])
        return report

    report = _over_trail(check, data, records)
    for line in [_as_json(report)] if json else as_text(report):
        say(line)
    raise typer.Exit(0 if report.is_sound else FOUND)


@audits.command()
def proof(event: Entry, data: Data = None, records: Records = None) -> None:
    """Print a proof that an entry is in a signed checkpoint.

    It can be checked without the journal, with the public key alone.
    """

    async def prove(_: Groundwork, audit: Audit) -> str:
        found = await prove_inclusion(audit.journal, audit.keys, event)
        return check_inclusion(found, audit.keys) or msgspec.json.encode(found).decode()

    say(_over_trail(prove, data, records))


@audits.command()
def consistency(first: int, second: int, data: Data = None, records: Records = None) -> None:
    """Print a proof that one checkpoint continues another.

    Both are named by their numbers, the earlier one first: nothing of it was altered before the later one.
    """

    async def prove(_: Groundwork, audit: Audit) -> str:
        found = await prove_consistency(audit.journal, audit.keys, first, second)
        return check_consistency(found, audit.keys) or msgspec.json.encode(found).decode()

    say(_over_trail(prove, data, records))


@audits.command()
def checkpoint(data: Data = None, records: Records = None) -> None:
    """Print the newest signed checkpoint, to be kept elsewhere.

    It is made now unless a running server makes them.
    """

    async def make(_: Groundwork, audit: Audit) -> str:
        made = await audit.checkpointer.make() or await audit.checkpointer.newest()
        return made.text.decode() if made is not None else "nothing is recorded yet"

    say(_over_trail(make, data, records))


@audits.command()
def erase(
    events: Annotated[list[str], typer.Argument(help="Ids of AuditEvents, such as log-1-42.")],
    reason: Annotated[str, typer.Option(help="Why; it is recorded, so it names no patient.")],
    data: Data = None,
    records: Records = None,
) -> None:
    """Remove for good what these events say.

    For where a duty to erase demands it. Their hashes stay, and the reason.
    """
    if not reason.strip():
        fail("--reason: say why; it is recorded, and names no patient")

    async def remove(ground: Groundwork, audit: Audit) -> int:
        count = await audit.retention.erase(events, reason)
        if not count:
            fail("no event has such an id: it is the logical id of its AuditEvent, such as log-1-42")
        await audit.recorder.record([erased(micros(ground.clock), events, reason, administrator().name)])
        return count

    count = _over_trail(remove, data, records)
    say(f"{count} {'event' if count == 1 else 'events'} erased")


def _over_trail(work: Callable[[Groundwork, Audit], Awaitable[T]], data: Path | None, records: str | None) -> T:
    async def act(ground: Groundwork) -> T:
        if ground.audit is None:
            fail("with WEFT_AUTH=off there is no audit trail")
        return await work(ground, ground.audit)

    try:
        return acting(act, data, records)
    except NoProof as error:
        fail(str(error))


def _moment(text: str, zone: ZoneInfo) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{text}: give a time as 2026-11-22 or 2026-11-22T09:15")
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


def as_text(report: Report) -> list[str]:
    lines = [str(each) for each in report.findings]
    told = [
        f"{report.entries} entries",
        f"{report.events} events",
        f"{report.checkpoints} checkpoints",
        f"{report.unsigned} entries not in a checkpoint yet",
    ]
    if report.dropped:
        told.append(f"{report.dropped} contents dropped with reason")
    told.append("no witness" if report.witnessed < 0 else f"{report.witnessed} copies at the witness")
    verdict = "sound" if report.is_sound else "NOT SOUND"
    return [*lines, f"{', '.join(told)}: {verdict}"]


def _as_json(report: Report) -> str:
    findings = [
        {"kind": each.kind, "place": each.place, "text": each.text, "note": each.kind.is_note}
        for each in report.findings
    ]
    return msgspec.json.encode({**report._asdict(), "findings": findings, "sound": report.is_sound}).decode()
