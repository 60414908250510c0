"""What every command needs first: settings from the environment and its own options, and words about them."""

from __future__ import annotations

import ast
import inspect
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, fields
from typing import Any, NoReturn, Protocol, TypeVar

import typer

from server import settings as settings_module
from server.kernel.problem import Kind, Problem
from server.settings import Settings, SettingsError, read_settings
from storage.errors import StorageError


class Closable(Protocol):
    async def close(self) -> None: ...


Closing = TypeVar("Closing", bound=Closable)

USAGE = 2
"""Exit status when nothing was done."""


@dataclass(frozen=True, slots=True)
class SettingLine:
    """One setting as help and README show it."""

    variable: str
    default: str
    meaning: str


def settings_or_exit(**overrides: Any) -> Settings:
    try:
        return read_settings(**overrides)
    except SettingsError as error:
        fail(str(error))


@asynccontextmanager
async def closing(opening: Awaitable[Closing]) -> AsyncIterator[Closing]:
    """What has been opened; settings that no store can be opened with are a `SettingsError`."""
    try:
        what = await opening
    except ValueError as error:
        raise SettingsError(str(error)) from error
    try:
        yield what
    finally:
        await what.close()


@contextmanager
def failing_clearly(hint: str = "") -> Iterator[None]:
    """What a store or a setting is at fault for ends the command with one sentence, not a trace."""
    try:
        yield
    except (StorageError, SettingsError) as error:
        fail(str(error))
    except Problem as problem:
        is_about_name = problem.kind in (Kind.NOT_FOUND, Kind.CONFLICT)
        fail(f"{problem.text.rstrip('.')}; {hint}" if hint and is_about_name else problem.text)


def fail(text: str, status: int = USAGE) -> NoReturn:
    typer.echo(f"weft: {text}", err=True)
    raise typer.Exit(status)


def setting_lines() -> list[SettingLine]:
    """Every setting with the sentence that stands below it in its class."""
    meanings = _meanings()
    return [
        SettingLine(f"WEFT_{each.name.upper()}", _shown(each.default), meanings.get(each.name, ""))
        for each in fields(Settings)
    ]


def settings_help() -> str:
    lines = ["\b", "Settings, as environment variables:"]
    for each in setting_lines():
        lines.append(f"  {each.variable:24} {each.default or '(empty)'}")
        if each.meaning:
            lines.append(f"      {each.meaning}")
    return "\n".join(lines)


def _meanings() -> dict[str, str]:
    """The strings below the fields: Python keeps no docstring of an attribute, so the source is asked."""
    found: dict[str, str] = {}
    body = ast.parse(inspect.getsource(settings_module)).body
    settings = next(node for node in body if isinstance(node, ast.ClassDef) and node.name == Settings.__name__)
    for before, after in zip(settings.body, settings.body[1:], strict=False):
        match before, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = " ".join(text.split())
            case _:
                continue
    return found


def _shown(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1 << 20:
        for unit, size in (("g", 1 << 30), ("m", 1 << 20)):
            if value % size == 0:
                return f"{value // size}{unit}"
    return str(value)
