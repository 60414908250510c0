"""One current report of each examination, and no report that goes back in its states: what our report profile implies.

It holds of every DiagnosticReport that claims the profile, whatever wrote it. An examination is its number (the
identifier of type ACSN) at its institution: the identifier's system, else its assigner. A revision is the next version
of the same resource. A report under another id takes its place only once the one before is `entered-in-error` (or
cancelled, or deleted), in the same transaction or earlier. `diagnosticReport-replaces` may tell so besides but does not
suffice: of two reports that both read as final a reader who looks at one does not know that it was replaced.

States go forward: registered, then partial or preliminary, then final, then amended, corrected or appended. What is not
final yet may be cancelled; anything may become `entered-in-error`. After these two only a new report helps.

An examination has a guard as criteria have (`server.fhir.conditional`): of two reports of it written at the same time
the second fails to commit, looks again and finds the first. A write that makes a report no longer current needs none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from profiles.packages.canonical import IDENTIFIER_TYPE, profile_url
from server.fhir.collaborators import Searcher
from server.fhir.conditional import GUARD
from server.fhir.index.splitting import escape
from server.fhir.json_form import Resource, decode
from server.fhir.writing import Act, Change, Ruling
from server.kernel.context import INTERACTIONS, SERVER, Actor, Context, Grant
from server.kernel.problem import Issue, Kind, Problem
from storage.ports import Put, Records

PROFILE = profile_url("imaging-report")
_SYSTEM = Context(Actor("reports", "rules of reports", (Grant(INTERACTIONS),), frozenset({SERVER})), "reports")
_STAGES = {
    "registered": 0, "unknown": 0, "partial": 1, "preliminary": 1, "final": 2,
    "amended": 3, "corrected": 3, "appended": 3,
}  # fmt: skip
"""States of a report that stands, in their order."""
_WITHDRAWN = "entered-in-error"
_GUARDS = 4096
_TOGETHER = 20
_MOST = 1000


class Examination(NamedTuple):
    """Told apart by all three, so the same number of two institutions is two examinations."""

    system: str
    assigner: str
    number: str

    @property
    def guard(self) -> str:
        digest = hashlib.blake2b("\0".join(self).encode(), digest_size=8).digest()
        return f"report-{int.from_bytes(digest) % _GUARDS}"

    @property
    def token(self) -> str:
        return f"{escape(self.system)}|{escape(self.number)}"


class ReportRules:
    """The rules as writes meet them."""

    types = frozenset(("DiagnosticReport",))

    def __init__(self, records: Records, searcher: Searcher) -> None:
        self._records = records
        self._searcher = searcher

    async def check(self, changes: Sequence[Change]) -> list[Ruling]:
        """For each change why it is refused, or the guards it must be committed with."""
        current = {each.id: current_examinations(each.resource) for each in changes}
        asked = sorted({examination for found in current.values() for examination in found})
        guards = await self._guards(asked)
        standing = await self._standing(asked, current)
        rulings: list[Ruling] = []
        taken: set[Examination] = set()
        for each in changes:
            problem = _backwards(each) or _second(current[each.id], standing, taken)
            acts = [guards.pop(one.guard) for one in sorted(current[each.id]) if one.guard in guards]
            rulings.append(problem or tuple(acts))
            taken |= current[each.id]
        return rulings

    async def _guards(self, asked: Sequence[Examination]) -> dict[str, Act]:
        names = sorted({each.guard for each in asked})
        versions = {each.id: each.version for each in await self._records.get(GUARD, names)} if names else {}
        return {name: Put(GUARD, name, b"-", expected=versions.get(name, 0)) for name in names}

    async def _standing(self, asked: Sequence[Examination], changed: Mapping[str, Any]) -> frozenset[Examination]:
        """The examinations with a report that is current and that this commit leaves as it is."""
        found: set[Examination] = set()
        for start in range(0, len(asked), _TOGETHER):
            tokens = ",".join(sorted({each.token for each in asked[start : start + _TOGETHER]}))
            pairs = (("identifier", tokens), ("status", ",".join(_STAGES)), ("_profile", PROFILE))
            for stored in await self._searcher.matching(_SYSTEM, "DiagnosticReport", pairs, _MOST):
                if stored.id not in changed:
                    found |= current_examinations(decode(stored.body))
        return frozenset(found)


def current_examinations(report: Resource | None) -> frozenset[Examination]:
    """What a report is the current one of; nothing where it claims no profile of ours, is withdrawn or deleted."""
    if report is None or report.get("status") not in _STAGES or not _claims(report):
        return frozenset()
    return frozenset(_examination(each) for each in report.get("identifier", ()) if _is_number(each))


def _claims(report: Resource) -> bool:
    return any(str(each).partition("|")[0] == PROFILE for each in report.get("meta", {}).get("profile", ()))


def _is_number(identifier: Mapping[str, Any]) -> bool:
    codings = identifier.get("type", {}).get("coding", ())
    is_accession = any(each.get("system") == IDENTIFIER_TYPE and each.get("code") == "ACSN" for each in codings)
    return is_accession and bool(identifier.get("value"))


def _examination(identifier: Mapping[str, Any]) -> Examination:
    system = identifier.get("system", "")
    return Examination(system, "" if system else _assigner(identifier.get("assigner", {})), identifier["value"])


def _assigner(reference: Mapping[str, Any]) -> str:
    logical = reference.get("identifier", {})
    number = f"{logical.get('system', '')}|{logical['value']}" if "value" in logical else ""
    return str(reference.get("reference") or number or reference.get("display", ""))


def _second(
    current: frozenset[Examination], standing: Collection[Examination], taken: set[Examination]
) -> Problem | None:
    for each in sorted(current):
        if each in standing:
            # Which one is not said: whoever writes may be somebody who may not see it.
            return _duplicate(
                "There is a current report of this examination: find it by its number and update it, "
                "or make it entered-in-error, before or in the same transaction."
            )
        if each in taken:
            return _duplicate("Another entry is a report of the same examination.")
    return None


def _duplicate(text: str) -> Problem:
    return Problem(Kind.CONFLICT, text, (Issue(text, "DiagnosticReport.identifier", "duplicate"),))


def _backwards(change: Change) -> Problem | None:
    if change.resource is None or change.standing.current is None or not _claims(change.resource):
        return None
    before, after = decode(change.standing.current.body).get("status", ""), change.resource.get("status", "")
    if may_follow(before, after):
        return None
    text = f"A report that is {before} cannot become {after}."
    return Problem(Kind.UNSUPPORTED, text, (Issue(text, "DiagnosticReport.status", "business-rule"),))


def may_follow(before: str, after: str) -> bool:
    """Whether a report in one state may be in the other next."""
    if after in (before, _WITHDRAWN):
        return True
    if before not in _STAGES:
        return False
    if after not in _STAGES:
        return _STAGES[before] < _STAGES["final"]
    return _STAGES[after] >= _STAGES[before]
