"""`weft code`: which codes the affinity domain allows for an attribute of what is registered (IHE XDS)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from server.audit.security_events import Changed, changed
from server.commands.acting import acting, administrator, say, show
from server.commands.configuration import fail, failing_clearly
from server.commands.options import Data, Records, group
from server.groundwork import Groundwork
from server.kernel.clock import micros
from server.kernel.problem import Kind, Problem
from server.xds.code_lists import ATTRIBUTES, MIME_TYPE, read_codes, read_value_set, text_of
from server.xds.code_sets import keep_code_sets, load_code_sets
from server.xds.fhir_codes import scheme_of
from storage.errors import VersionConflict

codes = group("code", "Codes that documents may be registered with.")

_OTHERS = "`weft code list` shows all"
_NEXT = "from the server's next start on. What it publishes itself has to pass too."
_Sets = dict[str, set[str]]

Attribute = Annotated[str, typer.Argument(help=f"One of {', '.join(ATTRIBUTES)}.")]
Scheme = Annotated[str, typer.Argument(help="OID of its coding scheme; a mimeType has none.")]


@codes.command()
def add(
    attribute: Attribute,
    code: Annotated[str, typer.Argument(help="The code.")],
    scheme: Scheme = "",
    data: Data = None,
    records: Records = None,
) -> None:
    """Allow a code for an attribute.

    With the first one, no code that is not listed is allowed any more.
    """
    text = _text(attribute, code, scheme)

    def change(sets: _Sets) -> None:
        sets.setdefault(attribute, set()).add(text)

    _tell(attribute, _changed(change, attribute, data, records))


@codes.command()
def remove(
    attribute: Attribute,
    code: Annotated[str | None, typer.Argument(help="The code; none: all, so that any is allowed.")] = None,
    scheme: Scheme = "",
    data: Data = None,
    records: Records = None,
) -> None:
    """Allow a code no longer.

    Without any listed the attribute takes all codes again.
    """
    _known(attribute)
    text = "" if code is None else _text(attribute, code, scheme)

    def change(sets: _Sets) -> None:
        if text and text not in sets.get(attribute, ()):
            raise Problem(Kind.NOT_FOUND, f"This is no code listed for {attribute}.")
        sets[attribute] = sets.get(attribute, set()) - {text} if text else set()

    _tell(attribute, _changed(change, attribute, data, records))


@codes.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="codes.xml, or a ValueSet in JSON.", exists=True, dir_okay=False)],
    attribute: Annotated[str, typer.Option(help="Whose codes a ValueSet lists.")] = "",
    data: Data = None,
    records: Records = None,
) -> None:
    """List codes anew from a file.

    For every attribute that it names, or for the one whose ValueSet it is.
    """
    with failing_clearly():
        listed = _read(attribute, file.read_bytes())
    _changed(lambda sets: sets.update(listed), attribute or "codes", data, records)
    for name, allowed in sorted(listed.items()):
        say(f"{name}: {len(allowed)} listed, no others")
    say(f"In force {_NEXT}")


@codes.command("list")
def list_(
    attribute: Annotated[str, typer.Argument(help="Only of this attribute.")] = "",
    data: Data = None,
    records: Records = None,
) -> None:
    """Show the codes that are listed."""
    if attribute:
        _known(attribute)
    found = acting(lambda ground: load_code_sets(ground.stores.records), data, records).by_attribute
    rows = [
        (name, *text.partition("^^")[::2])
        for name in ATTRIBUTES
        if attribute in ("", name)
        for text in sorted(found.get(name, ()))
    ]
    show(("ATTRIBUTE", "CODE", "SCHEME"), rows, "None are listed, so any code is allowed.")


def _changed(change: Callable[[_Sets], None], what: str, data: Path | None, records: str | None) -> _Sets:
    async def work(ground: Groundwork) -> _Sets:
        held = await load_code_sets(ground.stores.records)
        sets = {name: set(allowed) for name, allowed in held.by_attribute.items()}
        change(sets)
        sets = {name: allowed for name, allowed in sets.items() if allowed}
        event = changed(micros(ground.clock), administrator(), Changed.CONFIGURATION, "U", f"code sets, {what}")
        beside = ground.smart.recording.acts([event])
        try:
            await keep_code_sets(ground.stores.records, sets, beside, held.version)
        except VersionConflict:
            raise Problem(Kind.BUSY, "Another command changes the codes at this moment; try again.") from None
        return sets

    return acting(work, data, records, _OTHERS)


def _read(attribute: str, told: bytes) -> _Sets:
    if attribute:
        _known(attribute)
        return {attribute: read_value_set(attribute, told)}
    if told.lstrip().startswith(b"{"):
        fail("a ValueSet lists the codes of one attribute, which --attribute names")
    return {name: allowed for name, allowed in read_codes(told).items() if allowed}


def _text(attribute: str, code: str, scheme: str) -> str:
    _known(attribute)
    code, scheme = code.strip(), scheme_of(scheme.strip())
    if not code:
        fail("the code is empty")
    if bool(scheme) == (attribute == MIME_TYPE):
        fail("a mimeType stands alone, and any other code with its coding scheme")
    return text_of(attribute, code, scheme)


def _known(attribute: str) -> None:
    if attribute not in ATTRIBUTES:
        fail(f"{attribute}: one of {', '.join(ATTRIBUTES)}")


def _tell(attribute: str, sets: _Sets) -> None:
    count = len(sets.get(attribute, ()))
    say(f"{attribute}: {f'{count} listed, no others' if count else 'any code'} {_NEXT}")
