"""The capability statement, made from the rows the server works by (R4 http.html#capabilities).

Endpoints, operations and search parameters are read from where the router, the operations and the searches read them,
so the statement cannot promise what is not there, nor forget what is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from profiles.definitions import CANONICAL, FHIR_VERSION, definitions
from server.fhir.index.parameters import Parameter
from server.fhir.index.registry import Registry
from server.fhir.json_form import Resource
from server.fhir.operations.catalogue import Catalogue, Level
from server.fhir.patched import UNPATCHED
from server.fhir_rest.formats import Format
from server.fhir_rest.patches import MEDIA_TYPES as PATCH_TYPES
from server.http.surface import Endpoint
from server.smart.site import Site

DATE = "2026-11-22"
"""When the statement last changed in more than what a site configures."""

_TYPE_INTERACTIONS = {
    "read": "read",
    "vread": "vread",
    "update": "update",
    "patch": "patch",
    "delete": "delete",
    "history.instance": "history-instance",
    "history.type": "history-type",
    "create": "create",
    "search.type": "search-type",
}
_SYSTEM_INTERACTIONS = {
    "transaction": ("transaction", "batch"),
    "search.system": ("search-system",),
    "history.system": ("history-system",),
}
"""Codes of what endpoints do, by the names of their rows."""

_NORMATIVE = frozenset({
    "Binary", "Bundle", "CapabilityStatement", "CodeSystem", "Observation", "OperationDefinition", "OperationOutcome",
    "Parameters", "Patient", "StructureDefinition", "ValueSet",
})  # fmt: skip
_SECURITY_SERVICE = "http://terminology.hl7.org/CodeSystem/restful-security-service"
_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_MHD = "https://profiles.ihe.net/ITI/MHD/"
_MHD_ACTORS = (
    "DocumentRecipient",
    "DocumentRecipient.Comprehensive",
    "DocumentRecipient.Generate",
    "DocumentRecipient.UnContained",
    "DocumentResponder",
)
_COMPARTMENT = "http://hl7.org/fhir/CompartmentDefinition/"


@dataclass(frozen=True, slots=True)
class Policies:
    """What a site may choose."""

    enforces_references: bool = False
    deletes_several: bool = False
    is_open: bool = True
    """Whether everybody who reaches the server may do everything."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Makes statements; `profiles` are the canonical URLs of profiles by resource type."""

    rows: Sequence[Endpoint]
    catalogue: Catalogue
    registry: Callable[[], Registry]
    policies: Policies
    profiles: Mapping[str, Sequence[str]]
    shares_documents: bool = False
    """Whether a document registry is behind it (MHD)."""

    def full(self, base: str, *, is_normative: bool = False) -> Resource:
        registry = self.registry()
        types = [each for each in definitions().resource_types if not is_normative or each in _NORMATIVE]
        included = _included_by(registry)
        rest = {
            "mode": "server",
            "security": self._security(base),
            "resource": [self._resource(each, registry, included) for each in types],
            "interaction": [{"code": code} for name in self._names(_SYSTEM_INTERACTIONS) for code in name],
            "searchParam": [_parameter(each) for each in registry.of("Resource") or _common(registry)],
            "operation": self._operations(Level.SYSTEM, None),
            "compartment": [_COMPARTMENT + each.lower() for each in sorted(definitions().compartments)],
        }
        return {
            **_head("CapabilityStatement", "Weft", base),
            **(_document_sharing() if self.shares_documents else {}),
            "fhirVersion": FHIR_VERSION,
            "format": [*(str(each) for each in Format), "json", "xml"],
            "patchFormat": list(PATCH_TYPES),
            "rest": [{name: value for name, value in rest.items() if value != []}],
        }

    def terminology(self, base: str) -> Resource:
        names = ("filter", "count", "offset", "includeDesignations", "activeOnly", "displayLanguage", "excludeNested")
        return {
            **_head("TerminologyCapabilities", "WeftTerminology", base),
            "codeSearch": "all",
            "expansion": {"hierarchical": False, "paging": True, "parameter": [{"name": each} for each in names]},
            "validateCode": {"translations": False},
            "translation": {"needsMap": True},
        }

    def _names(self, codes: Mapping[str, Any]) -> list[Any]:
        present = {row.name for row in self.rows}
        return [code for name, code in codes.items() if name in present]

    def _security(self, base: str) -> dict[str, Any]:
        if self.policies.is_open:
            return {"cors": True, "description": "No sign-in: the server answers to this machine only."}
        service = {"coding": [{"system": _SECURITY_SERVICE, "code": "SMART-on-FHIR"}], "text": "SMART on FHIR"}
        return {"extension": [_oauth_uris(Site.of_surface(base))], "cors": True, "service": [service]}

    def _resource(self, name: str, registry: Registry, included: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        parameters = registry.of(name)
        codes = [each for each in self._names(_TYPE_INTERACTIONS) if (name, each) != (UNPATCHED, "patch")]
        references = [f"{name}:{each.code}" for each in parameters if each.type == "reference"]
        described = {
            "type": name,
            "profile": CANONICAL + name,
            "supportedProfile": list(self.profiles.get(name, ())),
            "interaction": [{"code": each} for each in codes],
            "versioning": "versioned",
            "readHistory": True,
            "updateCreate": True,
            "conditionalCreate": True,
            "conditionalRead": "full-support",
            "conditionalUpdate": True,
            "conditionalDelete": "multiple" if self.policies.deletes_several else "single",
            "referencePolicy": ["literal", "logical", *(["enforced"] if self.policies.enforces_references else [])],
            "searchInclude": ["*", *references] if references else [],
            "searchRevInclude": list(included.get(name, ())),
            "searchParam": [_parameter(each) for each in parameters],
            "operation": self._operations(None, name),
        }
        return {key: value for key, value in described.items() if value != []}

    def _operations(self, level: Level | None, resource_type: str | None) -> list[dict[str, Any]]:
        """Those at the base, or those of a type."""
        rows = self.catalogue.rows
        if resource_type is None:
            chosen = [row for row in rows if level in row.levels]
        else:
            chosen = [row for row in rows if row.is_on(resource_type) and row.levels - {Level.SYSTEM}]
        return [{"name": row.name[1:], "definition": row.definition} for row in chosen]


def _document_sharing() -> dict[str, Any]:
    return {
        "instantiates": [f"{_MHD}CapabilityStatement/IHE.MHD.{actor}" for actor in _MHD_ACTORS],
        "implementationGuide": [f"{_MHD}ImplementationGuide/ihe.iti.mhd"],
    }


def _oauth_uris(site: Site) -> dict[str, Any]:
    """Deprecated in favour of `.well-known/smart-configuration`, and all that some clients read."""
    places = {
        "authorize": site.oauth("authorize"),
        "token": site.token,
        "introspect": site.oauth("introspect"),
        "revoke": site.oauth("revoke"),
        "manage": site.oauth("account"),
    }
    return {"url": _OAUTH_URIS, "extension": [{"url": name, "valueUri": uri} for name, uri in places.items()]}


def _head(kind: str, name: str, base: str) -> Resource:
    return {
        "resourceType": kind,
        "url": f"{base}/metadata",
        "version": version("weft"),
        "name": name,
        "status": "active",
        "date": DATE,
        "kind": "instance",
        "software": {"name": "Weft", "version": version("weft")},
        "implementation": {"description": "Weft: FHIR beside DICOMweb", "url": base},
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {"name": parameter.code, "definition": parameter.url, "type": parameter.type}


def _common(registry: Registry) -> Iterable[Parameter]:
    """Parameters that every type has under one definition."""
    first, *others = definitions().resource_types
    shared = {each.code: each for each in registry.of(first)}
    for other in others:
        known = {(each.code, each.url) for each in registry.of(other)}
        shared = {code: each for code, each in shared.items() if (code, each.url) in known}
    return shared.values()


def _included_by(registry: Registry) -> Mapping[str, list[str]]:
    """By type, the references of all types that may lead to it."""
    found: dict[str, list[str]] = {each: [] for each in definitions().resource_types}
    for source in definitions().resource_types:
        for parameter in registry.of(source):
            if parameter.type == "reference":
                for target in parameter.targets or found:
                    if target in found:
                        found[target].append(f"{source}:{parameter.code}")
    return found
