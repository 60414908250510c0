"""`weft statements`: writes the conformance statements, or says where the committed ones have drifted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from server.commands.options import alone
from server.statements import STATEMENTS, statements

CURRENT, DRIFTED = 0, 1

stating = alone()


@stating.command("statements")
def state(
    check: Annotated[bool, typer.Option("--check", help="Only compare; exit status 1 when they differ.")] = False,
    folder: Annotated[Path, typer.Option(help="Where they are kept.")] = Path(STATEMENTS),
) -> None:
    """Write the conformance statements that the endpoints imply."""
    raise typer.Exit(write_or_check(folder, is_check=check))


def write_or_check(folder: Path, *, is_check: bool) -> int:
    """Write the statements into `folder`, or compare them with what is there; gives the exit status."""
    drifted = {name: text for name, text in statements().items() if _held(folder / name) != text}
    if is_check:
        for name in drifted:
            typer.echo(f"{folder / name} is not what the endpoints say: run `weft statements` and review the change")
        return DRIFTED if drifted else CURRENT
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in drifted.items():
        (folder / name).write_text(text, encoding="utf-8")
        typer.echo(f"wrote {folder / name}")
    return CURRENT


def _held(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
