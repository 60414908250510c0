"""`weft`: the command line. Options win over `WEFT_*` variables.

A command's module is imported when it is called: all together take a second, of which `weft --help` needs nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

_COMMANDS = (
    ("serve", "serving:serving", "Serve DICOMweb, FHIR, XDS and sign-in until Ctrl-C."),
    ("import", "upkeep:upkeep", "Bring images and FHIR resources in."),
    ("verify", "upkeep:upkeep", "Compare every file of the archive with its digest."),
    ("backup", "backup:backups", "Copy records, files and audit trail to another place."),
    ("restore", "backup:backups", "Bring a snapshot back, into the empty place that the settings name."),
    ("reindex", "upkeep:upkeep", "Compute the search keys of FHIR resources anew."),
    ("statements", "statements:stating", "Write the conformance statements that the endpoints imply."),
    ("demo", "demo:demonstration", "Serve sample images and a synthetic ward."),
    ("user", "user:users", "Who may sign in, and as what."),
    ("client", "client:clients", "Apps and backend services that may ask for tokens."),
    ("key", "key:keys", "The keys that seal the archive, and that sign the trail and id_tokens."),
    ("audit", "audit:audits", "The audit trail: who saw and did what."),
    ("node", "node:nodes", "Other systems that connect by certificate (mutual TLS)."),
    ("issuer", "issuer:issuers", "Issuers of SAML assertions that are believed."),
    ("institution", "institution:institutions", "Hospitals and practices whose images and numbers come here."),
    ("person", "person:persons", "Patients of several hospitals who are one person."),
    ("examination", "examination:examinations", "Examination numbers that came for two people."),
    ("code", "code:codes", "Codes that documents may be registered with."),
    ("community", "community:communities", "Other communities that are asked along with this one."),
)
"""Name, where in `server.commands` it is, and the first sentence of its own help."""


class Later(TyperCommand):
    """Stands for a command until it is called."""

    def __init__(self, name: str, place: str, text: str) -> None:
        super().__init__(name, help=text)
        self._place = place

    def make_context(self, *given: Any, **named: Any) -> Any:
        """The context of the command itself, which is what runs."""
        return self.loaded().make_context(*given, **named)

    def loaded(self) -> Any:
        module, _, attribute = self._place.partition(":")
        with _keeping_everything():
            found = import_module(f"server.commands.{module}")
        group = typer.main.get_group(getattr(found, attribute))
        return group.commands.get(str(self.name), group)


@contextmanager
def _keeping_everything() -> Iterator[None]:
    """Modules stay: looking for garbage among them again and again is a sixth of the time that importing takes."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class Commands(TyperGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes | {"commands": [Later(*each) for each in _COMMANDS]})


main = typer.Typer(
    cls=Commands,
    name="weft",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@main.callback()
def weft() -> None:
    """Weft keeps a hospital's images and nursing data, and serves them over DICOMweb, FHIR and XDS."""
