"""Extensions (FHIR R4 extensibility): ext-1, and, where the definition is known, its profile and its context."""

from __future__ import annotations

from typing import Any

from profiles.findings import Severity
from profiles.validator.model import ItemCheck
from profiles.validator.native import has
from profiles.validator.place import Place
from profiles.validator.run import Run

_EXAMPLES = ("example.org", "acme.com", "acme.org")


def check(member: str, owner: str) -> ItemCheck:
    """A check of each extension in `extension` or `modifierExtension` of a shape."""
    is_modifier = member == "modifierExtension"
    is_nested = owner == "Extension"

    def check_one(item: Any, place: Place, run: Run) -> None:
        if type(item) is dict:
            _check(item, place, run, is_modifier=is_modifier, is_nested=is_nested)

    return check_one


def _check(item: dict[str, Any], place: Place, run: Run, *, is_modifier: bool, is_nested: bool) -> None:
    has_value = "value" in "".join(item) and has(item, "value")
    if ("extension" in item) == has_value:
        run.error("invariant", place, "An extension has either a value or extensions, and one of them.", "ext-1")
    url = item.get("url")
    if type(url) is not str:
        return
    if is_nested and ":" not in url:
        return
    profile = run.validator.extension(url)
    if profile is None:
        _report_unknown(url, place, run, is_modifier)
        return
    run.validator.apply(profile, item, place, run)
    _check_parts(profile, item, place, run)
    run.validator.check_context(profile.structure, place, run)
    _check_modifier(profile, place, run, is_modifier)


def _check_parts(profile: Any, item: dict[str, Any], place: Place, run: Run) -> None:
    """Parts with relative URLs are those that the definition names."""
    parts = item.get("extension")
    known = profile.parts
    if type(parts) is not list or not known:
        return
    for index, each in enumerate(parts):
        url = each.get("url") if type(each) is dict else None
        if type(url) is str and ":" not in url and url not in known:
            run.error("structure", (place, "extension", index), "The definition of the extension has no such part.")


def _report_unknown(url: str, place: Place, run: Run, is_modifier: bool) -> None:
    severity = run.options.unknown_extensions
    if not run.options.allow_examples and is_example(url):
        run.error("invalid", (place, "url", None), "A URL of an example may not be used here.")
    elif severity is Severity.ERROR and run.options.allow_examples and is_example(url):
        severity = None
    if severity is not None and not url.startswith(run.options.known_domains or ("\0",)):
        run.add(severity, "structure", place, "The definition of this extension is not known.")


def is_example(url: str) -> bool:
    return any(each in url for each in _EXAMPLES)


def _check_modifier(profile: Any, place: Place, run: Run, is_modifier: bool) -> None:
    if profile.is_modifier and not is_modifier:
        run.error("structure", place, "This extension changes meanings: it belongs in modifierExtension.")
    elif is_modifier and not profile.is_modifier:
        run.error("structure", place, "This extension changes no meanings: it belongs in extension.")
