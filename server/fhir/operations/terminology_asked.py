"""Reads the parameters of the terminology operations into the questions that `profiles.terminology` answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from profiles.definitions import definitions
from profiles.terminology.compose import SystemVersions
from profiles.terminology.expansion import ExpansionRequest
from profiles.terminology.service import Terminology
from profiles.terminology.translation import TranslationRequest
from profiles.terminology.validation import Leniency
from server.fhir.json_form import Resource
from server.fhir.operations.parameters import Given, OperationParameters, invalid, missing
from server.kernel.problem import Issue, Kind, Problem

EXPAND = frozenset((
    "url", "valueSet", "valueSetVersion", "context", "contextDirection", "filter", "date", "offset", "count",
    "includeDesignations", "designation", "includeDefinition", "activeOnly", "excludeNested", "excludeNotForUI",
    "excludePostCoordinated", "displayLanguage", "exclude-system", "system-version", "check-system-version",
    "force-system-version",
))  # fmt: skip
VALIDATE_IN_SET = frozenset((
    "url", "context", "valueSet", "valueSetVersion", "code", "system", "systemVersion", "display", "coding",
    "codeableConcept", "date", "abstract", "displayLanguage",
))  # fmt: skip
VALIDATE_IN_SYSTEM = frozenset((
    "url", "codeSystem", "code", "version", "display", "coding", "codeableConcept", "date", "abstract",
    "displayLanguage", "system",
))  # fmt: skip
LOOKUP = frozenset(("code", "system", "version", "coding", "date", "displayLanguage", "property"))
SUBSUMES = frozenset(("codeA", "codeB", "system", "version", "codingA", "codingB", "codeSystem"))
TRANSLATE = frozenset((
    "url", "conceptMap", "conceptMapVersion", "code", "system", "version", "source", "coding", "codeableConcept",
    "target", "targetsystem", "dependency", "reverse",
))  # fmt: skip

_RECORDED = (
    "filter", "count", "offset", "includeDesignations", "activeOnly", "excludeNested", "excludeNotForUI",
    "displayLanguage", "exclude-system", "system-version", "check-system-version", "force-system-version",
)  # fmt: skip
_NUMBERS = frozenset(("count", "offset"))
_FLAGS = frozenset(("includeDesignations", "activeOnly", "excludeNested", "excludeNotForUI"))
_CANONICALS = frozenset(("exclude-system", "system-version", "check-system-version", "force-system-version"))
_CODED = ("code", "coding", "codeableConcept")


def value_set(parameters: OperationParameters) -> str | Resource:
    """The value set meant: a resource, a canonical URL, or what the element of a context is bound to."""
    given = parameters.resource("valueSet", "ValueSet")
    if given is not None:
        return given
    url = parameters.string("url")
    if url is not None:
        return versioned(url, parameters.string("valueSetVersion"))
    context = parameters.string("context")
    if context is None:
        raise missing("url", "valueSet", "context")
    return _bound(context)


def versioned(url: str, version: str | None) -> str:
    return f"{url}|{version}" if version and "|" not in url else url


def _bound(context: str) -> str:
    """`[structure]#[element id]` names an element; it has the value set of its binding."""
    url, _, element_id = context.partition("#")
    structure = definitions().structure(url.partition("|")[0])
    elements = structure["snapshot"]["element"] if structure else ()
    for each in elements:
        if element_id and each.get("id") == element_id and "valueSet" in each.get("binding", {}):
            return str(each["binding"]["valueSet"])
    text = "The context names no element with a binding that is known here."
    raise Problem(Kind.NOT_FOUND, text, (Issue(text, None, "not-found"),))


def expansion(parameters: OperationParameters) -> ExpansionRequest:
    return ExpansionRequest(
        filter=parameters.string("filter"),
        offset=parameters.integer("offset"),
        count=parameters.integer("count"),
        include_designations=parameters.boolean("includeDesignations"),
        include_definition=parameters.boolean("includeDefinition"),
        active_only=parameters.boolean("activeOnly"),
        exclude_nested=parameters.boolean("excludeNested", True),
        exclude_not_for_ui=parameters.boolean("excludeNotForUI"),
        display_language=parameters.string("displayLanguage"),
        exclude_systems=frozenset(each.partition("|")[0] for each in parameters.strings("exclude-system")),
        versions=SystemVersions(
            default=_by_system(parameters.strings("system-version")),
            check=_by_system(parameters.strings("check-system-version")),
            force=_by_system(parameters.strings("force-system-version")),
        ),
        parameters=tuple(_recorded(parameters)),
    )


def _by_system(canonicals: Iterable[str]) -> dict[str, str]:
    found = {}
    for each in canonicals:
        system, _, version = each.partition("|")
        if not version:
            raise invalid("A version of a code system is given as system|version.")
        found[system] = version
    return found


def _recorded(parameters: OperationParameters) -> Iterable[Resource]:
    """What decides about the expansion is written into it."""
    for name in _RECORDED:
        for each in parameters.given(name):
            yield {"name": name} | _value_of(each, parameters)


def _value_of(given: Given, parameters: OperationParameters) -> dict[str, Any]:
    if given.name in _NUMBERS:
        return {"valueInteger": parameters.integer(given.name)}
    if given.name in _FLAGS:
        return {"valueBoolean": parameters.boolean(given.name)}
    return {"valueUri" if given.name in _CANONICALS else "valueString": given.value}


def codings(parameters: OperationParameters, system: str | None, version: str | None = None) -> list[Resource]:
    """The codings meant by exactly one of code, coding and codeableConcept."""
    given = [name for name in _CODED if parameters.given(name)]
    if len(given) != 1:
        raise missing(*_CODED) if not given else invalid("Give only one of code, coding and codeableConcept.")
    match given[0]:
        case "code":
            stated = {"system": system, "version": version, "code": parameters.string("code")}
            stated["display"] = parameters.string("display")
            return [{key: value for key, value in stated.items() if value is not None}]
        case "coding":
            return [_checked(parameters.coding("coding") or {})]
        case _:
            concept = parameters.complex("codeableConcept", "CodeableConcept") or {}
            listed = concept.get("coding")
            if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
                raise invalid("The concept to look at has no coding.")
            return [_checked(each) for each in listed]


def _checked(coding: Resource) -> Resource:
    for name in ("system", "version", "code", "display"):
        if not isinstance(coding.get(name, ""), str):
            raise invalid(f"The {name} of a coding must be text.")
    return coding


def leniency(parameters: OperationParameters) -> Leniency:
    return Leniency(parameters.boolean("abstract"), parameters.string("displayLanguage"))


def one_code(parameters: OperationParameters, code: str, coding: str) -> tuple[str | None, str, str | None]:
    """System, code and version by a plain code with its system or by a Coding."""
    given = parameters.coding(coding)
    if given is not None:
        if "code" not in _checked(given):
            raise invalid(f"The parameter {coding} needs a code.")
        return given.get("system") or parameters.string("system"), given["code"], given.get("version")
    stated = parameters.string(code)
    if stated is None:
        raise missing(code, coding)
    return parameters.string("system"), stated, parameters.string("version")


def translation(parameters: OperationParameters) -> TranslationRequest:
    return TranslationRequest(
        codings=tuple(codings(parameters, parameters.string("system"))),
        source=parameters.string("source"),
        target=parameters.string("target"),
        target_system=parameters.string("targetsystem"),
        is_reverse=parameters.boolean("reverse"),
        dependencies=frozenset(_dependencies(parameters)),
    )


def _dependencies(parameters: OperationParameters) -> Iterable[tuple[str, str]]:
    for each in parameters.parts("dependency"):
        element = each.required("element")
        concept = each.complex("concept", "CodeableConcept") or {}
        for coding in concept.get("coding", ()) if isinstance(concept.get("coding"), list) else ():
            yield element, str(coding.get("code", "")) if isinstance(coding, dict) else ""


def concept_maps(terminology: Terminology, parameters: OperationParameters) -> list[Resource] | None:
    """The map that is named or sent; `None` for all that fit."""
    given = parameters.resource("conceptMap", "ConceptMap")
    if given is not None:
        return [given]
    url = parameters.string("url")
    return None if url is None else [terminology.concept_map(versioned(url, parameters.string("conceptMapVersion")))]
