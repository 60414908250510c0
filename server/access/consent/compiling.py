"""A Consent resource as a rule (FHIR R4 Consent, shaped as IHE PCF has it).

What limits or changes a provision in a way not known here must not be passed over: the whole consent then forbids
everything to everybody, and somebody is told (rule 11 of our table). Elements that only describe are passed over.
A root provision without a type, as R4 would have it, takes its type from `policyRule`: opt-in or opt-out.

A nested permission without purposes, or without actors, has those of its root; a nested prohibition without them holds
for all. So what is not said widens neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from server.access.consent.policies import policy_named
from server.access.consent.rule import ALWAYS, Datum, Provision, Rule, Span

Json = Mapping[str, Any]

_SCOPES = "http://terminology.hl7.org/CodeSystem/consentscope"
_OTHER_SCOPES = frozenset({"adr", "research", "treatment"})
_RECIPIENTS = frozenset({"IRCP", "PRCP"})
_DESCRIBED = frozenset({
    "resourceType", "id", "meta", "language", "text", "contained", "extension", "identifier", "status", "scope",
    "category", "patient", "dateTime", "performer", "organization", "sourceAttachment", "sourceReference", "policy",
    "policyRule", "verification", "provision",
})  # fmt: skip
_PROVISION = frozenset({
    "id", "extension", "type", "period", "actor", "securityLabel", "purpose", "dataPeriod", "data", "provision",
})  # fmt: skip
_TYPES = {"permit": True, "deny": False}
_RULES = {"OPTIN": True, "OPTOUT": False}
_OWNERS = ("Encounter/", "CarePlan/", "EpisodeOfCare/")
_MOST = 1000
"""Values of one kind, and nested provisions."""


class _Flaw(Exception):
    """What is not understood; of the consent's structure only, never of its content."""


@dataclass(frozen=True, slots=True)
class Compiler:
    span: Callable[[str], Span | None]
    """The moments a FHIR date or dateTime stands for."""
    local: Callable[[str], str]
    """A reference without the address of this server."""

    def compile(self, consent: Json) -> Rule | None:
        """`None` where the consent says nothing of who may see data."""
        if consent.get("status") != "active" or _is_of_other_scope(consent):
            return None
        patient = self._reference(consent.get("patient", {}))
        if not patient.startswith("Patient/"):
            return None
        custodians = tuple(self._reference(each) or "?" for each in consent.get("organization", ()))
        policies = tuple(str(each["uri"]) for each in consent.get("policy", ()) if "uri" in each)
        try:
            return self._rule(consent, patient, custodians, policies)
        except _Flaw as flaw:
            forbidden = Provision(permits=False)
            return Rule(patient, forbidden, custodians=custodians, policies=policies, flaw=str(flaw))
        except (AttributeError, KeyError, TypeError, ValueError):
            forbidden = Provision(permits=False)
            return Rule(patient, forbidden, custodians=custodians, policies=policies, flaw="its shape")

    def _rule(self, consent: Json, patient: str, custodians: tuple[str, ...], policies: tuple[str, ...]) -> Rule:
        _check(consent, _DESCRIBED, "Consent")
        _check_scope(consent)
        if any(each.get("verified") is False for each in consent.get("verification", ())):
            raise _Flaw("a verification that failed")
        named = next((policy for uri in policies if (policy := policy_named(uri))), None)
        sent = consent.get("provision")
        if sent is None:
            if named is None:
                raise _Flaw("no provision and no policy known here")
            return Rule(patient, named.provision, custodians=custodians, replaces_policy=True, policies=policies)
        root = self._provision(sent, _root_type(consent, sent))
        is_agreement = root == Provision(permits=True) and named is not None
        start, end = self._period(sent.get("period"))
        return Rule(
            patient,
            named.provision if is_agreement and named is not None else root,
            start,
            end,
            tuple(self._nested(sent, root)),
            custodians,
            is_agreement,
            policies,
        )

    def _nested(self, sent: Json, root: Provision) -> Iterator[tuple[Provision, int, int]]:
        for each in _few(sent.get("provision", ())):
            if each.get("provision"):
                raise _Flaw("provisions nested twice")
            found = self._provision(each, _TYPES.get(each.get("type", "")))
            if found.permits:
                found = _within_root(found, root)
            yield (found, *self._period(each.get("period")))

    def _provision(self, sent: Json, permits: bool | None) -> Provision:
        _check(sent, _PROVISION, "provision")
        if permits is None:
            raise _Flaw("a provision that neither permits nor denies")
        return Provision(
            permits,
            purposes=_codes(sent, "purpose"),
            actors=self._actors(sent),
            labels=_codes(sent, "securityLabel"),
            within=self._period(sent["dataPeriod"]) if "dataPeriod" in sent else None,
            data=self._data(sent),
        )

    def _actors(self, sent: Json) -> tuple[str, ...] | None:
        if "actor" not in sent:
            return None
        found = []
        for each in _few(sent["actor"]):
            _check(each, frozenset({"id", "extension", "role", "reference"}), "actor")
            codes = {coding.get("code") for coding in each["role"].get("coding", ())}
            if codes.isdisjoint(_RECIPIENTS):
                raise _Flaw("an actor that is no recipient")
            found += self._names(each["reference"])
        return tuple(sorted(set(found)))

    def _names(self, reference: Json) -> list[str]:
        """By reference, and by identifier (`system|value`), for those of whom no resource is here."""
        identifier = reference.get("identifier", {})
        named = [f"{identifier.get('system', '')}|{identifier['value']}"] if identifier.get("value") else []
        return [*named, self._known(reference, "an actor")] if "reference" in reference or not named else named

    def _data(self, sent: Json) -> tuple[Datum, ...] | None:
        if "data" not in sent:
            return None
        found = set()
        for each in _few(sent["data"]):
            _check(each, frozenset({"id", "extension", "meaning", "reference"}), "data")
            datum = Datum(each["meaning"], self._known(each["reference"], "data"))
            if datum.meaning not in ("instance", "related", "authoredby"):
                raise _Flaw("a meaning of data")
            if datum.meaning == "related" and not datum.reference.startswith(_OWNERS):
                raise _Flaw("data related to what nothing is kept by")
            if datum.meaning == "instance" and "/" not in datum.reference:
                raise _Flaw("data that is not named")
            found.add(datum)
        return tuple(sorted(found, key=lambda each: (each.meaning, each.reference)))

    def _known(self, reference: Json, what: str) -> str:
        found = self._reference(reference)
        if not found or found.startswith("#"):
            raise _Flaw(f"{what} without a reference")
        return found

    def _reference(self, reference: Json) -> str:
        return self.local(str(reference.get("reference", ""))).partition("/_history/")[0]

    def _period(self, period: Json | None) -> Span:
        if period is None:
            return ALWAYS
        _check(period, frozenset({"id", "extension", "start", "end"}), "period")
        start, end = ALWAYS
        if "start" in period:
            start = self._moments(period["start"])[0]
        if "end" in period:
            end = self._moments(period["end"])[1]
        return start, end

    def _moments(self, text: str) -> Span:
        span = self.span(text)
        if span is None:
            raise _Flaw("a moment")
        return span


def _is_of_other_scope(consent: Json) -> bool:
    """Consent to a treatment, to research, or an advance directive: nothing about who may see data."""
    codes = _scope_codes(consent)
    return bool(codes) and codes <= _OTHER_SCOPES


def _check_scope(consent: Json) -> None:
    if "patient-privacy" not in _scope_codes(consent):
        raise _Flaw("a scope")


def _scope_codes(consent: Json) -> set[str]:
    return {
        each.get("code", "") for each in consent.get("scope", {}).get("coding", ()) if each.get("system") == _SCOPES
    }


def _root_type(consent: Json, sent: Json) -> bool | None:
    if "type" in sent:
        return _TYPES.get(sent["type"])
    codes = {each.get("code", "") for each in consent.get("policyRule", {}).get("coding", ())}
    return next((_RULES[each] for each in sorted(codes, reverse=True) if each in _RULES), None)


def _check(element: Json, known: frozenset[str], name: str) -> None:
    """Names of primitives' extensions begin with `_`, and describe."""
    unknown = sorted(each for each in element if each not in known and not each.startswith("_"))
    if unknown:
        raise _Flaw(f"{name}.{unknown[0]}" if unknown[0].isalnum() else name)


def _within_root(nested: Provision, root: Provision) -> Provision:
    purposes = root.purposes if nested.purposes is None else nested.purposes
    actors = root.actors if nested.actors is None else nested.actors
    return replace(nested, purposes=purposes, actors=actors)


def _codes(sent: Json, name: str) -> tuple[str, ...] | None:
    if name not in sent:
        return None
    found = {each.get("code") for each in _few(sent[name])}
    if not all(found):
        raise _Flaw(f"{name} without a code")
    return tuple(sorted(found))


def _few(values: Sequence[Any]) -> Sequence[Any]:
    if len(values) > _MOST:
        raise _Flaw("more than can be judged")
    return values
