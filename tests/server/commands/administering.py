"""Commands of the command line over a data folder of the test."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from typer.testing import CliRunner, Result

from server.cli import main
from server.commands.acting import opened_ground
from server.groundwork import Groundwork
from server.settings import Settings

T = TypeVar("T")


def weft(data: Path, *arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(main, [*arguments, "--data", str(data)], input=typed, env={"COLUMNS": "200"})


def told(data: Path, *arguments: str, typed: str | None = None) -> str:
    """What a command prints that does what it is asked for."""
    ended = weft(data, *arguments, typed=typed)
    assert ended.exit_code == 0, ended.output
    return ended.stdout


def refused(data: Path, *arguments: str, typed: str | None = None) -> str:
    """The one sentence of a command that does nothing."""
    ended = weft(data, *arguments, typed=typed)
    assert ended.exit_code == 2, ended.output
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    return ended.stderr


def asking(data: Path, question: Callable[[Groundwork], Awaitable[T]]) -> T:
    async def ask() -> T:
        async with opened_ground(Settings(data=data)) as ground:
            return await question(ground)

    return asyncio.run(ask())
