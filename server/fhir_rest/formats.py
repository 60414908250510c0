"""Which form an answer takes: JSON or XML, pretty or not, whole or in part (R4 http.html#mime-type).

`_format` comes before Accept. A browser, which asks for a page, gets indented JSON that it can show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from server.fhir.subset import WHOLE, Subset, parse_subset
from server.http.media_type import parse_media_type
from server.http.negotiate import Offer, choose
from server.http.surface import Call
from server.kernel.problem import Issue, Kind, Problem

VERSIONS = frozenset({"4.0", "4.0.1"})
"""What the parameter `fhirVersion` of a media type may say."""

CONTROLS = frozenset({"_format", "_pretty", "_summary", "_elements"})
"""Parameters that are about the answer, whatever is asked."""

_LONGEST_CACHED = 1024
_PAGE = "text/html"
_SHORT = {"json": "application/fhir+json", "xml": "application/fhir+xml", "html": _PAGE}
_BOOLEANS = {"true": True, "false": False}


class Format(StrEnum):
    JSON = "application/fhir+json"
    XML = "application/fhir+xml"


ALIASES = {
    Format.JSON: ("application/json", "text/json", "application/json+fhir"),
    Format.XML: ("application/xml", "text/xml", "application/xml+fhir"),
}
"""Other names a client may give them, in Accept, Content-Type and `_format`."""

NAMED = {name: format_ for format_, aliases in ALIASES.items() for name in (str(format_), *aliases)}

_OFFERS = (*(Offer(str(each), aliases=ALIASES[each]) for each in Format), Offer(_PAGE))


@dataclass(frozen=True, slots=True)
class Presentation:
    """How one answer is to be given."""

    format: Format = Format.JSON
    is_pretty: bool = False
    is_page: bool = False
    """For a browser."""
    subset: Subset = WHOLE

    @property
    def is_stored(self) -> bool:
        """Whether stored bytes can be sent as they are."""
        return self.format is Format.JSON and not self.is_pretty and self.subset.is_whole

    @property
    def media_type(self) -> str:
        return "application/json; charset=utf-8" if self.is_page else f"{self.format}; charset=utf-8"

    @property
    def whole(self) -> Presentation:
        return self if self.subset.is_whole else replace(self, subset=WHOLE)


def presentation(call: Call, pairs: Sequence[tuple[str, str]] | None = None) -> Presentation:
    """What the query (or these pairs, where a form was posted) and Accept ask for; a `Problem` where that cannot be."""
    accept = call.header("accept") or ""
    if pairs is None and not call.scope["query_string"]:
        return by_accept(accept)
    return asked(call.query if pairs is None else pairs, accept)


def asked(pairs: Sequence[tuple[str, str]], accept: str) -> Presentation:
    controls = {name: value for name, value in pairs if name in CONTROLS and value}
    if not controls:
        return by_accept(accept)
    chosen = _by_name(controls["_format"]) if "_format" in controls else by_accept(accept)
    is_pretty = _BOOLEANS.get(controls.get("_pretty", str(chosen.is_pretty).lower()))
    if is_pretty is None:
        raise Problem(Kind.INVALID, "_pretty is true or false.", (Issue("Not a boolean.", "http._pretty", "invalid"),))
    return replace(chosen, is_pretty=is_pretty, subset=parse_subset(pairs))


def for_problem(call: Call) -> Presentation:
    """As `presentation`, but what cannot be given is passed over: even a refusal needs a form."""
    try:
        return presentation(call).whole
    except Problem:
        return _without_query(call)


def _without_query(call: Call) -> Presentation:
    try:
        return by_accept(call.header("accept") or "")
    except Problem:
        return Presentation()


def by_accept(accept: str) -> Presentation:
    return _cached(accept) if len(accept) <= _LONGEST_CACHED else _negotiated(accept)


def _negotiated(accept: str) -> Presentation:
    usable = _of_this_version(accept) if "fhirversion" in accept.lower() else accept
    offer = choose(("", usable), _OFFERS) if usable or not accept else None
    if offer is None:
        raise _not_acceptable()
    return _presented(offer.media_type)


_cached = lru_cache(maxsize=256)(_negotiated)


def _by_name(text: str) -> Presentation:
    """A `+` in a query arrives as a blank, so `application/fhir json` is meant well."""
    try:
        media_type, parameters = parse_media_type(
            _SHORT.get(text, text.replace(" json", "+json").replace(" xml", "+xml"))
        )
    except Problem:
        raise _not_acceptable() from None
    is_known = media_type == _PAGE or media_type in NAMED
    if not is_known or parameters.get("fhirversion", "4.0") not in VERSIONS:
        raise _not_acceptable()
    return _presented(media_type)


def _presented(media_type: str) -> Presentation:
    if media_type == _PAGE:
        return Presentation(is_pretty=True, is_page=True)
    return Presentation(NAMED[media_type])


def _of_this_version(accept: str) -> str:
    """The ranges that do not ask for another version of FHIR."""
    kept = []
    for piece in accept.split(","):
        try:
            version = parse_media_type(piece)[1].get("fhirversion", "4.0")
        except Problem:
            version = "4.0"
        if version in VERSIONS:
            kept.append(piece)
    return ",".join(kept)


def _not_acceptable() -> Problem:
    text = f"Answers are given as {Format.JSON} or {Format.XML}, in FHIR version 4.0."
    return Problem(Kind.NOT_ACCEPTABLE, text)
