"""OpenAPI descriptions of the surfaces, made from the rows they are served by, for tools that try an API from outside.

They are for the tests only: apps learn of FHIR from its CapabilityStatement and of OAuth from its discovery document.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from server.http.surface import Endpoint

Json = dict[str, Any]

FORM, JSON, FHIR_JSON = "application/x-www-form-urlencoded", "application/json", "application/fhir+json"
SECRET = "marker-of-a-secret-7Qx9"
"""Sent wherever a secret is expected: no answer and no log may ever hold it."""

_TEXT: Json = {"type": "string", "maxLength": 60}
_SECRET: Json = {"type": "string", "enum": [SECRET]}
_TYPE: Json = {"type": "string", "enum": ["Patient", "Observation", "ImagingStudy", "Consent", "AuditEvent", "Binary"]}
_ID: Json = {"type": "string", "enum": ["a", "b", "1"]}
_NAMED: Mapping[str, Json] = {
    "type": _TYPE,
    "member": {"type": "string", "enum": ["Observation", "Condition", "*"]},
    "version": {"type": "string", "enum": ["1", "2"]},
    "number": {"type": "string", "enum": ["0", "1"]},
}
_OPERATION = re.compile(r"\$[a-z-]+")

_SEARCH: Mapping[str, Json] = {
    "_count": {"type": "integer", "minimum": 0, "maximum": 50},
    "_sort": {"type": "string", "enum": ["_id", "-_lastUpdated", "date", "birthdate"]},
    "_summary": {"type": "string", "enum": ["true", "text", "data", "count", "false"]},
    "_include": {"type": "string", "enum": ["Observation:patient", "ImagingStudy:subject", "*"]},
    "_has:Observation:patient:code": _TEXT,
    "_lastUpdated": {"type": "string", "pattern": "^(gt|le|ap)20[0-9]{2}$"},
    "_id": _ID,
    "identifier": _TEXT,
    "patient": {"type": "string", "pattern": "^Patient/[a-z]{1,4}$"},
    "code": _TEXT,
    "_page": _TEXT,
    "_type": _TYPE,
    "_elements": _TEXT,
    "_format": {"type": "string", "enum": ["json", "xml", "application/fhir+json"]},
}
_AUTHORIZE: Mapping[str, Json] = {
    "response_type": {"type": "string", "enum": ["code"]},
    "client_id": {"type": "string", "enum": ["chart"]},
    "redirect_uri": {"type": "string", "enum": ["https://app.example/back", "https://evil.example/"]},
    "scope": {"type": "string", "enum": ["launch/patient patient/*.rs", "openid fhirUser", "user/*.cruds"]},
    "state": _TEXT,
    "aud": _TEXT,
    "code_challenge": {"type": "string", "pattern": "^[A-Za-z0-9_-]{43}$"},
    "code_challenge_method": {"type": "string", "enum": ["S256"]},
    "launch": _SECRET,
    "nonce": _TEXT,
    "prompt": {"type": "string", "enum": ["none", "login", "consent"]},
    "max_age": {"type": "integer"},
}
_NEEDED = frozenset({"response_type", "client_id", "redirect_uri", "scope", "state", "aud", "code_challenge"})
_CLIENT: Mapping[str, Json] = {
    "client_id": {"type": "string", "enum": ["chart", "nobody"]},
    "client_secret": _SECRET,
    "client_assertion": _SECRET,
    "client_assertion_type": {"type": "string", "enum": ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]},
}
_GRANTS = ["authorization_code", "refresh_token", "client_credentials", "password"]
_TOKEN: Mapping[str, Json] = {
    "grant_type": {"type": "string", "enum": _GRANTS},
    "code": _SECRET,
    "refresh_token": _SECRET,
    "code_verifier": _SECRET,
    "redirect_uri": _TEXT,
    "scope": _TEXT,
}
_REGISTER: Mapping[str, Json] = {
    "client_name": _TEXT,
    "redirect_uris": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
    "grant_types": {"type": "array", "items": {"type": "string", "enum": _GRANTS}, "maxItems": 3},
    "token_endpoint_auth_method": {"type": "string", "enum": ["none", "private_key_jwt", "client_secret_basic"]},
    "jwks": {"type": "object"},
    "jwks_uri": {"type": "string", "enum": ["https://127.0.0.1/keys", "http://localhost:1/", "file:///etc/passwd"]},
    "scope": _TEXT,
}
_LAUNCH: Mapping[str, Json] = {
    "client_id": {"type": "string", "enum": ["chart", "nobody"]},
    "patient": _ID,
    "encounter": _ID,
    "imaging_study": _ID,
    "intent": _TEXT,
    "fhir_context": {"type": "array", "items": {"type": "object"}, "maxItems": 2},
    "need_patient_banner": {"type": "boolean"},
}
_PROTECTED = ("form_token", "request")
_PAGE: Mapping[str, Json] = {
    "form_token": _TEXT,
    "login": _TEXT,
    "password": _SECRET,
    "again": _SECRET,
    "present": _SECRET,
    "code": _SECRET,
    "answer": _TEXT,
    "proof": {"type": "string", "enum": ["app", "key", "recovery"]},
    "request": _TEXT,
    "act": {"type": "string", "enum": ["allow", "deny", "remove x", "codes"]},
    "scope": _TEXT,
    "part": _TEXT,
    "patient": _ID,
    "text": _TEXT,
    "reason": _TEXT,
    "sure": _TEXT,
    "approval": _ID,
    "session": _ID,
}
_POSTED: Mapping[str, tuple[str, Mapping[str, Json]]] = {
    "/oauth/authorize": (FORM, _AUTHORIZE),
    "/oauth/token": (FORM, {**_TOKEN, **_CLIENT}),
    "/oauth/introspect": (FORM, {"token": _SECRET, "token_type_hint": _TEXT, **_CLIENT}),
    "/oauth/revoke": (FORM, {"token": _SECRET, "token_type_hint": _TEXT, **_CLIENT}),
    "/oauth/register": (JSON, _REGISTER),
    "/oauth/launch": (JSON, _LAUNCH),
}

_RESOURCE: Json = {
    "type": "object",
    "required": ["resourceType"],
    "additionalProperties": False,
    "properties": {
        "resourceType": {"type": "string", "enum": ["Patient"]},
        "id": {"type": "string", "enum": ["a"]},
        "active": {"type": "boolean"},
        "name": {
            "type": "array",
            "minItems": 1,
            "maxItems": 2,
            "items": {
                "type": "object",
                "required": ["text"],
                "properties": {"text": {"type": "string", "pattern": "^[A-Z<>&'][a-z<>&' ]{0,20}$"}},
                "additionalProperties": False,
            },
        },
        "birthDate": {"type": "string", "format": "date"},
    },
}
_BUNDLE: Json = {
    "type": "object",
    "required": ["resourceType", "type"],
    "properties": {
        "resourceType": {"type": "string", "enum": ["Bundle"]},
        "type": {"type": "string", "enum": ["batch", "transaction"]},
        "entry": {
            "type": "array",
            "maxItems": 3,
            "items": {
                "type": "object",
                "properties": {
                    "resource": _RESOURCE,
                    "request": {
                        "type": "object",
                        "properties": {
                            "method": {"type": "string", "enum": ["GET", "POST", "PUT", "DELETE"]},
                            "url": {
                                "type": "string",
                                "enum": ["Patient", "Patient/a", "Observation?code=x", "metadata"],
                            },
                        },
                    },
                },
            },
        },
    },
}
_JSON_PATCH: Json = {
    "type": "array",
    "maxItems": 3,
    "items": {
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"type": "string", "enum": ["add", "replace", "remove", "test", "move", "copy"]},
            "path": {"type": "string", "enum": ["/active", "/name/0/text", "/id", "/nothing"]},
            "value": {},
            "from": {"type": "string", "enum": ["/active"]},
        },
    },
}


def described(prefix: str, rows: Iterable[Endpoint], known: Mapping[str, str]) -> Json:
    """`known`: values that only the running server can tell, by the names of parameters and fields."""
    paths: dict[str, Json] = {}
    for row in rows:
        at = paths.setdefault(prefix + row.path, {})
        at[row.method.lower()] = _operation(prefix + row.path, row, known)
    return {"openapi": "3.0.3", "info": {"title": "Weft", "version": "1"}, "paths": paths}


def _operation(path: str, row: Endpoint, known: Mapping[str, str]) -> Json:
    made: Json = {"operationId": f"{row.name} {row.method}", "responses": {"default": {"description": row.clause}}}
    names = re.findall(r"\{(\w+)\}", row.path)
    made["parameters"] = [_parameter("path", name, _NAMED.get(name, _ID), is_required=True) for name in names]
    if row.method == "GET":
        needed = _NEEDED if path == "/oauth/authorize" else ()
        made["parameters"] += [
            _parameter("query", name, _fixed(known[name]) if name in known else schema, is_required=name in needed)
            for name, schema in _asked(path).items()
        ]
    elif row.method != "DELETE":
        kind, schema = _body(path, row, known)
        made["requestBody"] = {"required": True, "content": {kind: {"schema": schema}}}
    return made


def _parameter(place: str, name: str, schema: Json, *, is_required: bool = False) -> Json:
    return {"in": place, "name": name, "schema": schema, "required": is_required}


def _fixed(value: str) -> Json:
    return {"type": "string", "enum": [value]}


def _asked(path: str) -> Mapping[str, Json]:
    if path == "/oauth/authorize":
        return _AUTHORIZE
    if path.startswith("/oauth/"):
        return {"request": _TEXT, "lang": {"type": "string", "enum": ["en", "zh", "xx"]}}
    return {} if path.endswith(("/metadata", "/{id}", "smart-configuration")) else _SEARCH


def _body(path: str, row: Endpoint, known: Mapping[str, str]) -> tuple[str, Json]:
    if path.startswith("/oauth/"):
        kind, fields = _POSTED.get(path, (FORM, _PAGE))
        return kind, _of(fields, known, _NEEDED if fields is _AUTHORIZE else _PROTECTED if fields is _PAGE else ())
    if path.endswith("/_search"):
        return FORM, _of(_SEARCH)
    if row.method == "PATCH":
        return "application/json-patch+json", _JSON_PATCH
    if _OPERATION.search(path):
        return FHIR_JSON, {"type": "object", "properties": {"resourceType": _fixed("Parameters")}}
    return FHIR_JSON, _BUNDLE if path in ("/fhir", "/fhir/") else _RESOURCE


def _of(
    fields: Mapping[str, Json], known: Mapping[str, str] = MappingProxyType({}), needed: Iterable[str] = ()
) -> Json:
    properties = {name: _fixed(known[name]) if name in known else schema for name, schema in fields.items()}
    made: Json = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**made, "required": found} if (found := [each for each in needed if each in properties]) else made
