"""What administrators do at the command line: over the opened services, in their own name, told in tables."""

from __future__ import annotations

import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from server.audit.who import Who
from server.commands.configuration import closing, fail, failing_clearly, settings_or_exit
from server.groundwork import Groundwork, open_groundwork
from server.kernel.clock import SECOND
from server.settings import Settings

T = TypeVar("T")

_WIDE = 1000


def opened_ground(settings: Settings) -> AbstractAsyncContextManager[Groundwork]:
    """Only stores, audit trail and authorization server, closed in the end."""
    return closing(open_groundwork(settings))


def acting(work: Callable[[Groundwork], Awaitable[T]], data: Path | None, records: str | None, hint: str = "") -> T:
    """Do this over what the settings lead to; what goes wrong ends the command with one sentence.

    `hint` follows where what was named is not there, or is there already.
    """

    async def act() -> T:
        async with opened_ground(settings) as ground:
            return await work(ground)

    settings = settings_or_exit(data=data, records=records)
    if settings.auth == "off":
        fail(
            "WEFT_AUTH=off: without sign-in there is nobody to let in, and no audit trail to tell of it;"
            " unset WEFT_AUTH for this command"
        )
    with failing_clearly(hint):
        return asyncio.run(act())


def administrator() -> Who:
    """Who sits at the command line, for the audit trail: the operating system knows no more than a name."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = "unknown"
    return Who(name=f"{name} (command line)", roles=("administrator",))


def show(headings: Sequence[str], rows: Sequence[Sequence[str]], empty: str) -> None:
    """A table, or a sentence where it would have no row. What users chose is never read as markup.

    A screen's lines are folded; a file or another program gets each row on one line.
    """
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console = Console(highlight=False, soft_wrap=True, width=_WIDE)
    if not rows:
        console.print(empty, markup=False)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(each) for each in row))
    with console.capture() as drawn:
        console.print(table)
    # The last column is padded to the width of the widest row, which a reader of a file has no use for.
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in drawn.get().splitlines()))


def say(text: str) -> None:
    Console(highlight=False, soft_wrap=True).print(text, markup=False)


def day(micros: int) -> str:
    """`2026-11-22 09:15` UTC; empty for never."""
    return f"{datetime.fromtimestamp(micros / SECOND, UTC):%Y-%m-%d %H:%M}" if micros else ""
