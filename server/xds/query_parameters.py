"""The parameters of a stored query and how their values are written (IHE ITI TF-2 3.18.4.1.2.3).

A text stands in quotes, a quote in it is doubled; a number is bare; several values stand in parentheses, and may be
split over Values, each with parentheses of its own. Taken as well, because it is met: texts without quotes or in
double ones, parentheses round a single value, spaces within a UUID.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from server.xds.datatypes import Dtm
from server.xds.ebxml_reading import MOST_VALUES, AdhocQuery
from server.xds.errors import ErrorCode, refused
from server.xds.keys import ON_DEMAND_TYPE, STABLE_TYPE
from server.xds.stored_queries import Groups, Named, Span, Texts
from server.xds.vocabulary import APPROVED, DEPRECATED, ON_DEMAND, STABLE

MOST_PATTERNS = 100
"""Each is a search of its own: thousands took minutes among forty documents."""
_LONGEST = 1024
_QUOTED = re.compile(r"\s*(?:'((?:[^']|'')*+)'|\"([^\"]*+)\"|([^\s'\",()][^'\",()]*+))\s*(,|$)")
_CODE = re.compile(r"[^^]+\^\^[^^]+")
_SPACES = re.compile(r"\s+")
_STATUSES = {APPROVED: "Approved", DEPRECATED: "Deprecated"}
_KINDS = {STABLE: STABLE_TYPE, ON_DEMAND: ON_DEMAND_TYPE}


class Parameters:
    """Those of one query, read by name and form; what the query does not define is never looked at."""

    def __init__(self, query: AdhocQuery) -> None:
        self._slots: dict[str, list[Texts]] = {}
        self._left = MOST_VALUES
        for slot in query.slots:
            self._slots.setdefault(slot.name, []).append(slot.values)

    def names(self, *names: str) -> bool:
        """Whether any of these is given a value."""
        return any(values for name in names for values in self._slots.get(name, ()))

    def groups(self, name: str) -> Groups:
        """Of a parameter whose slot may be repeated: each repetition must be met, by any of its values."""
        groups = (self._values(name, written) for written in self._slots.get(name, ()))
        return tuple(group for group in groups if group)

    def texts(self, name: str) -> Texts:
        groups = self.groups(name)
        if len(groups) > 1:
            raise refused(ErrorCode.PARAMETER_NUMBER, f"The parameter {name} may not be repeated.")
        return groups[0] if groups else ()

    def required(self, name: str) -> Texts:
        return self.texts(name) or _missing(name)

    def required_groups(self, name: str) -> Groups:
        return self.groups(name) or (_missing(name),)

    def required_text(self, name: str) -> Texts:
        return self.text(name) or _missing(name)

    def text(self, name: str) -> Texts:
        """None or one."""
        found = self.texts(name)
        if len(found) > 1:
            raise refused(ErrorCode.PARAMETER_NUMBER, f"The parameter {name} takes a single value.")
        return found

    def codes(self, name: str) -> Texts:
        return _codes(name, self.texts(name))

    def code_groups(self, name: str) -> Groups:
        return tuple(_codes(name, group) for group in self.groups(name))

    def pattern(self, name: str) -> Texts:
        """None or one."""
        self.text(name)
        return self.patterns(name)

    def patterns(self, name: str) -> Texts:
        found = self.texts(name)
        if len(found) > MOST_PATTERNS:
            raise refused(ErrorCode.REGISTRY, f"The parameter {name} takes at most {MOST_PATTERNS} patterns.")
        if any(len(each) > _LONGEST for each in found):
            raise refused(ErrorCode.REGISTRY, f"A pattern in {name} is longer than {_LONGEST} characters.")
        return found

    def ids(self, name: str) -> Texts:
        return _ids(self.texts(name))

    def required_ids(self, name: str) -> Texts:
        return self.ids(name) or _missing(name)

    def named(self, kind: str, *, is_single: bool = False) -> Named:
        """By one of its parameters, not by several."""
        names = [f"{kind}{each}" for each in ("EntryUUID", "UniqueId", "LogicalID")]
        ids, unique_ids, logical_ids = ((self.text if is_single else self.texts)(name) for name in names)
        given = [each for each in (ids, unique_ids, logical_ids) if each]
        if len(given) > 1:
            raise refused(ErrorCode.PARAMETER_NUMBER, f"Only one of {', '.join(names)} is given.")
        if not given:
            _missing(f"{names[0]} or {names[1]}")
        return Named(_ids(ids), unique_ids, _ids(logical_ids))

    def statuses(self, name: str) -> Texts:
        """Known ones; a value that is not understood counts as not given."""
        return tuple(dict.fromkeys(_STATUSES[each] for each in self.texts(name) if each in _STATUSES)) or _missing(name)

    def kinds(self, name: str = "$XDSDocumentEntryType") -> Texts:
        asked = self.ids(name) or (STABLE,)
        return tuple(_KINDS[each] for each in asked if each in _KINDS)

    def span(self, prefix: str) -> Span:
        return Span(self._moment(f"{prefix}From"), self._moment(f"{prefix}To"))

    def _moment(self, name: str) -> int | None:
        written = self.text(name)
        if not written:
            return None
        try:
            return Dtm.parse(written[0].strip()).start
        except ValueError as error:
            raise refused(ErrorCode.REGISTRY, f"The value of {name} cannot be read: {error}.") from None

    def _values(self, name: str, written: Iterable[str]) -> Texts:
        found: dict[str, None] = {}
        for text in written:
            for value in _split(name, text):
                self._left -= 1
                if self._left < 0:
                    raise refused(ErrorCode.REGISTRY, f"A query has at most {MOST_VALUES} values.")
                found[value] = None
        return tuple(found)


def _missing(name: str) -> Texts:
    raise refused(ErrorCode.MISSING_PARAMETER, f"The parameter {name} is missing.")


def _split(name: str, text: str) -> Iterable[str]:
    text = text.strip()
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    elif text[:1] not in "'\"(":
        # A bare text may hold what would divide a list.
        if text:
            yield text
        return
    at, ends = 0, not text.strip()
    while not ends:
        found = _QUOTED.match(text, at)
        if found is None:
            raise refused(ErrorCode.REGISTRY, f"The value {_shown(text)} of {name} is malformed.")
        single, double, bare, comma = found.groups()
        if value := single.replace("''", "'") if single is not None else double or (bare or "").rstrip():
            yield value
        at, ends = found.end(), not comma


def _codes(name: str, values: Texts) -> Texts:
    for each in values:
        if not _CODE.fullmatch(each):
            raise refused(ErrorCode.REGISTRY, f"The value {_shown(each)} of {name} is not written code^^scheme.")
    return values


def _ids(values: Texts) -> Texts:
    return tuple(dict.fromkeys(_SPACES.sub("", each).lower() for each in values))


def _shown(text: str) -> str:
    return repr(text[:100])
