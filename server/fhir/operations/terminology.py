"""`$expand`, `$validate-code`, `$lookup`, `$subsumes` and `$translate`, from parameters to the resource answered.

(FHIR R4 OperationDefinitions ValueSet-expand, ValueSet-validate-code, CodeSystem-validate-code, CodeSystem-lookup,
CodeSystem-subsumes, ConceptMap-translate.) A call upon a resource is the same with that resource among the parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from profiles.terminology.code_system import Resource
from profiles.terminology.errors import TerminologyError
from profiles.terminology.service import Lookup, Terminology
from profiles.terminology.translation import Match
from profiles.terminology.validation import Validation
from server.fhir.operations import terminology_asked as asked
from server.fhir.operations.parameters import OperationParameters, invalid, missing, parameter, parameters
from server.kernel.clock import Clock
from server.kernel.problem import Issue, Kind, Problem

_KINDS = {"not-found": Kind.NOT_FOUND, "invalid": Kind.INVALID}
_UNRESTRICTED = frozenset(("name", "version", "display"))


def _urn() -> str:
    return f"urn:uuid:{uuid4()}"


@dataclass(frozen=True, slots=True)
class TerminologyOperations:
    """Each method is quick enough for the event loop but for expansions of thousands of codes."""

    terminology: Terminology
    clock: Clock
    new_identifier: Callable[[], str] = _urn

    def expand(self, given: OperationParameters) -> Resource:
        """A ValueSet with its expansion."""
        given.allow(asked.EXPAND)
        timestamp = self.clock.now().isoformat(timespec="milliseconds")
        with answerable():
            return self.terminology.expand(
                asked.value_set(given),
                asked.expansion(given),
                identifier=self.new_identifier(),
                timestamp=timestamp.replace("+00:00", "Z"),
            )

    def validate_in_value_set(self, given: OperationParameters) -> Resource:
        """Parameters with `result`, `message` and `display`."""
        given.allow(asked.VALIDATE_IN_SET)
        codings = asked.codings(given, given.string("system"), given.string("systemVersion"))
        with answerable():
            return _validated(self.terminology.validate_code(asked.value_set(given), codings, asked.leniency(given)))

    def validate_in_code_system(self, given: OperationParameters) -> Resource:
        given.allow(asked.VALIDATE_IN_SYSTEM)
        system = given.resource("codeSystem", "CodeSystem")
        url = given.string("url") or given.string("system")
        codings = asked.codings(given, None)
        stated = system or url or next((each["system"] for each in codings if "system" in each), None)
        if stated is None:
            raise missing("url", "codeSystem")
        if isinstance(stated, str):
            stated = asked.versioned(stated, given.string("version"))
        with answerable():
            return _validated(self.terminology.validate_in_system(stated, codings, asked.leniency(given)))

    def lookup(self, given: OperationParameters) -> Resource:
        """Parameters with what is known of one code."""
        given.allow(asked.LOOKUP)
        system, code, version = asked.one_code(given, "code", "coding")
        if system is None:
            raise missing("system")
        with answerable():
            found = self.terminology.lookup(system, code, version)
        return _described(found, frozenset(given.strings("property")), given.string("displayLanguage"))

    def subsumes(self, given: OperationParameters) -> Resource:
        """Parameters with `outcome`."""
        given.allow(asked.SUBSUMES)
        sent = given.resource("codeSystem", "CodeSystem")
        one_system, one, version = asked.one_code(given, "codeA", "codingA")
        other_system, other, _ = asked.one_code(given, "codeB", "codingB")
        systems = {each for each in (one_system, other_system, sent and str(sent.get("url", ""))) if each}
        if len(systems) > 1:
            raise invalid("Both codes must be of the same code system.")
        if not systems:
            raise missing("system")
        with answerable():
            outcome = self.terminology.subsumes(sent or systems.pop(), one, other, None if sent else version)
        return parameters(parameter("outcome", valueCode=outcome))

    def translate(self, given: OperationParameters) -> Resource:
        """Parameters with `result` and a `match` for each translation."""
        given.allow(asked.TRANSLATE)
        request = asked.translation(given)
        with answerable():
            found = self.terminology.translate(request, asked.concept_maps(self.terminology, given))
        is_found = any(each.is_match for each in found)
        message = None if is_found else parameter("message", valueString="No translation is known.")
        return parameters(parameter("result", valueBoolean=is_found), message, *map(_matched, found))


@contextmanager
def answerable() -> Iterator[None]:
    """Turns the errors of terminology into problems."""
    try:
        yield
    except TerminologyError as error:
        kind = _KINDS.get(error.code, Kind.UNSUPPORTED)
        raise Problem(kind, error.text, (Issue(error.text, None, error.code),)) from None


def _validated(found: Validation) -> Resource:
    return parameters(
        parameter("result", valueBoolean=found.result),
        parameter("message", valueString=found.message) if found.message else None,
        parameter("display", valueString=found.display) if found.display else None,
    )


def _described(found: Lookup, wanted: frozenset[str], language: str | None) -> Resource:
    """Without a choice everything; `name`, `version` and `display` in any case."""
    display = found.display(language)
    listed = [
        parameter("name", valueString=found.name),
        parameter("version", valueString=found.version) if found.version else None,
        parameter("display", valueString=display) if display else None,
    ]
    if not wanted or "designation" in wanted:
        listed += map(_designation, found.concept.designations)
    listed += [_property(name, value) for name, value in _properties(found) if not wanted or name in wanted]
    return parameters(*listed)


def _designation(stated: Resource) -> Resource:
    typed = {"language": "valueCode", "use": "valueCoding", "value": "valueString"}
    return parameter(
        "designation", part=[parameter(name, **{typed[name]: stated[name]}) for name in typed if name in stated]
    )


def _properties(found: Lookup) -> Iterator[tuple[str, Resource]]:
    yield "inactive", {"valueBoolean": found.concept.is_inactive}
    for name, codes in (("parent", found.parents), ("child", found.children)):
        for code in codes:
            yield name, {"valueCode": code}
    for each in found.concept.properties:
        if each["code"] not in ("inactive", "parent", "child"):
            yield each["code"], {key: value for key, value in each.items() if key.startswith("value")}


def _property(name: str, value: Resource) -> Resource:
    return parameter("property", part=[parameter("code", valueCode=name), parameter("value", **value)])


def _matched(match: Match) -> Resource:
    parts = [parameter("equivalence", valueCode=match.equivalence)]
    if match.concept is not None:
        parts.append(parameter("concept", valueCoding=match.concept))
    for product in match.products:
        inner = [
            parameter("element", valueUri=product["element"]),
            parameter("concept", valueCoding=product["concept"]),
        ]
        parts.append(parameter("product", part=inner))
    if match.source is not None:
        parts.append(parameter("source", valueUri=match.source))
    return parameter("match", part=parts)
