"""Commands that work over all services, in the name of whoever sits at the command line."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeVar

from server.assembly import Services, open_services
from server.commands.acting import administrator
from server.commands.configuration import closing, failing_clearly, settings_or_exit
from server.kernel.context import INTERACTIONS, SERVER, Actor, Context, Grant
from server.kernel.ids import new_token
from server.kernel.trail import Trail
from server.settings import Settings

T = TypeVar("T")


def opened(settings: Settings) -> AbstractAsyncContextManager[Services]:
    """All services, closed in the end."""
    return closing(open_services(settings))


def over_services(
    work: Callable[[Services], Awaitable[T]], data: Path | None, records: str | None, hint: str = ""
) -> T:
    """Do this; what goes wrong ends the command with one sentence. The server may be running."""
    settings = settings_or_exit(data=data, records=records)

    async def act() -> T:
        async with opened(settings) as services:
            return await work(services)

    with failing_clearly(hint):
        return asyncio.run(act())


def at_the_command_line() -> Context:
    """An administrator's acts, told to the audit trail."""
    actor = Actor("command-line", administrator().name, (Grant(INTERACTIONS),), frozenset({SERVER}))
    return Context(actor, new_token(), "HOPERAT", trail=Trail())
