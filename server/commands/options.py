"""Options that several commands take; they win over `WEFT_*` variables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path | None, typer.Option(help="Folder of the archive (WEFT_DATA).", show_default=False)]
Records = Annotated[str | None, typer.Option(help="sqlite:///… or mongodb://… (WEFT_RECORDS).", show_default=False)]
Blobs = Annotated[str | None, typer.Option(help="file:///… or s3://… (WEFT_BLOBS).", show_default=False)]
Host = Annotated[str | None, typer.Option(help="Address to listen on (WEFT_HOST).", show_default=False)]
Port = Annotated[int | None, typer.Option(help="Port to listen on (WEFT_PORT).", show_default=False)]
Auth = Annotated[str | None, typer.Option(help="smart, or off on this machine only (WEFT_AUTH).", show_default=False)]
Workers = Annotated[int | None, typer.Option(help="Worker processes (WEFT_WORKERS).", show_default=False)]
Certificate = Annotated[str | None, typer.Option(help="PEM file (WEFT_TLS_CERTIFICATE).", show_default=False)]
Key = Annotated[str | None, typer.Option(help="PEM file (WEFT_TLS_KEY).", show_default=False)]


def group(name: str, text: str) -> typer.Typer:
    """A command with commands below it."""
    return typer.Typer(
        name=name, help=text, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
    )


def alone() -> typer.Typer:
    """Commands with none below them."""
    return typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
