"""Who serves here, for apps that let people find their hospital: the user-access brands (SMART 2.2, brands).

One organization and one endpoint, from the settings. `Bundle.timestamp` tells when these last changed, so it is kept
as a record: a restart changes nothing, and every process tells the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from server.kernel.clock import SECOND, Clock, micros
from server.smart.site import Site
from storage.errors import VersionConflict
from storage.ports import Put, Records

_PROFILES = "http://hl7.org/fhir/smart-app-launch/StructureDefinition/"
_EXTENSIONS = "http://hl7.org/fhir/StructureDefinition/"
_TERMS = "http://terminology.hl7.org/CodeSystem/"
_PUBLISHED = "smart-published"
_RECORD = "brands"
_BRAND, _ENDPOINT = "brand", "fhir"


class _Told(msgspec.Struct, frozen=True):
    digest: str
    at: int


@dataclass(frozen=True, slots=True)
class Brands:
    records: Records
    clock: Clock
    name: str
    website: str
    """The organization's own address; empty: this server's."""

    def identifier(self, site: Site) -> str:
        """The URL the brand goes by."""
        return self.website or site.root

    async def bundle(self, site: Site) -> dict[str, Any]:
        changed = datetime.fromtimestamp(await self._changed() // SECOND, UTC)
        base = site.oauth("brands")
        return {
            "resourceType": "Bundle",
            "id": "user-access-brands",
            "meta": {"profile": [_PROFILES + "user-access-brands-bundle"]},
            "type": "collection",
            "timestamp": changed.isoformat().replace("+00:00", "Z"),
            "entry": [
                {"fullUrl": f"{base}/Organization/{_BRAND}", "resource": self._organization(site)},
                {"fullUrl": f"{base}/Endpoint/{_ENDPOINT}", "resource": self._endpoint(site)},
            ],
        }

    async def _changed(self) -> int:
        """When the settings last became what they are now."""
        digest = hashlib.sha256(msgspec.json.encode([self.name, self.website])).hexdigest()
        found = await self.records.get(_PUBLISHED, [_RECORD])
        if found and (told := msgspec.json.decode(found[0].body, type=_Told)).digest == digest:
            return told.at
        told = _Told(digest, micros(self.clock))
        expected = found[0].version if found else 0
        try:
            await self.records.commit([Put(_PUBLISHED, _RECORD, msgspec.json.encode(told), expected=expected)])
        except VersionConflict:
            return await self._changed()
        return told.at

    def _organization(self, site: Site) -> dict[str, Any]:
        portal = [
            {"url": "portalName", "valueString": self.name},
            {"url": "portalUrl", "valueUrl": site.oauth("account")},
            {"url": "portalEndpoint", "valueReference": {"reference": f"Endpoint/{_ENDPOINT}"}},
        ]
        return {
            "resourceType": "Organization",
            "id": _BRAND,
            "meta": {"profile": [_PROFILES + "user-access-brand"]},
            "extension": [{"url": _EXTENSIONS + "organization-portal", "extension": portal}],
            "identifier": [{"system": "urn:ietf:rfc:3986", "value": self.identifier(site)}],
            "active": True,
            "name": self.name,
            "telecom": [{"system": "url", "value": self.identifier(site)}],
            "endpoint": [{"reference": f"Endpoint/{_ENDPOINT}"}],
        }

    def _endpoint(self, site: Site) -> dict[str, Any]:
        return {
            "resourceType": "Endpoint",
            "id": _ENDPOINT,
            "meta": {"profile": [_PROFILES + "user-access-endpoint"]},
            "extension": [{"url": _EXTENSIONS + "endpoint-fhir-version", "valueCode": "4.0.1"}],
            "status": "active",
            "connectionType": {"system": _TERMS + "endpoint-connection-type", "code": "hl7-fhir-rest"},
            "name": f"FHIR R4, {self.name}",
            "contact": [{"system": "url", "value": self.identifier(site)}],
            "payloadType": [{"coding": [{"system": _TERMS + "endpoint-payload-type", "code": "none"}]}],
            "address": site.fhir,
        }
