"""What every FHIR check is handed: short ways to write, read and search, and a tag that marks the run's own data.

Whatever an answer says was created is remembered and deleted after the run, last written first.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode

from conformance.kit.client import Client, Response
from conformance.kit.verdict import Failed, Skipped, expect

JSON = "application/fhir+json"
XML = "application/fhir+xml"
FORM = "application/x-www-form-urlencoded"
JSON_PATCH = "application/json-patch+json"
TAGS = "https://example.org/conformance-run"

Resource: TypeAlias = dict[str, Any]
Body: TypeAlias = Mapping[str, Any] | Sequence[Any] | bytes | None


@dataclass(frozen=True)
class Fhir:
    client: Client
    token: str = field(default_factory=lambda: f"kit{secrets.token_hex(6)}")
    """In the tag and the names of everything this run writes; letters and digits only."""
    made: list[str] = field(default_factory=list)
    """Addresses below the base, as `/Patient/1`, in the order they were written."""

    @property
    def base(self) -> str:
        return self.client.base_url

    @property
    def tag(self) -> str:
        """For `_tag` in a search: this run's data and nothing else."""
        return quote(f"{TAGS}|{self.token}")

    @cached_property
    def capabilities(self) -> Resource:
        return body_of(self.get("/metadata"), "CapabilityStatement")

    def offer(self, resource_type: str) -> Resource:
        """What the capability statement says of a type."""
        for each in self.capabilities["rest"][0].get("resource", []):
            if each["type"] == resource_type:
                return dict(each)
        raise Skipped(f"{resource_type} is not offered")

    def need(self, resource_type: str, interaction: str) -> None:
        """Go on only where this interaction is declared."""
        declared = {each["code"] for each in self.offer(resource_type).get("interaction", [])}
        if interaction not in declared:
            raise Skipped(f"{interaction} of {resource_type} is not offered")

    def unique(self, prefix: str = "") -> str:
        """An id, name or code nobody else has; it fits the pattern of a resource id."""
        return f"{prefix}{self.token}-{secrets.token_hex(4)}"

    def draft(self, resource_type: str, **members: Any) -> Resource:
        """A resource under the run's tag, not sent yet; `meta` may be given and is added to."""
        meta = {**members.pop("meta", {})}
        meta["tag"] = [*meta.get("tag", []), {"system": TAGS, "code": self.token}]
        return {"resourceType": resource_type, "meta": meta, **members}

    def make(self, resource_type: str, **members: Any) -> Resource:
        """A resource as the server created it."""
        return self.created(self.draft(resource_type, **members))

    def created(self, resource: Mapping[str, Any]) -> Resource:
        kind = resource["resourceType"]
        answer = self.post(f"/{kind}", resource, prefer="return=representation")
        expect(answer.status == 201, f"create of {kind} gave {answer.status}, expected 201: {told(answer)}")
        if answer.body:
            return body_of(answer, kind)
        return self.read(self.client.path_of(answer.headers["location"]))

    def updated(self, resource: Mapping[str, Any], **headers: str) -> Resource:
        """A resource as it is after a PUT at its own id."""
        path = f"/{resource['resourceType']}/{resource['id']}"
        answer = self.put(path, resource, prefer="return=representation", **headers)
        expect(answer.status in (200, 201), f"PUT {path} gave {answer.status}: {told(answer)}")
        return body_of(answer, resource["resourceType"]) if answer.body else self.read(path)

    def read(self, path: str) -> Resource:
        answer = self.get(path)
        expect(answer.status == 200, f"GET {path} gave {answer.status}, expected 200")
        return body_of(answer)

    def bundle(self, path: str, **headers: str) -> Resource:
        """The Bundle at this path, which must be given with 200."""
        answer = self.get(path, **headers)
        expect(answer.status == 200, f"GET {path} gave {answer.status}, expected 200: {told(answer)}")
        return body_of(answer, "Bundle")

    def pages(self, path: str, at_most: int = 50) -> list[Resource]:
        """The Bundle at this path and all that follow by `next`."""
        found = [self.bundle(path)]
        while (following := link(found[-1], "next")) is not None:
            expect(len(found) < at_most, f"more than {at_most} pages")
            found.append(self.bundle(self.client.path_of(following)))
        return found

    def get(self, path: str, accept: str = JSON, **headers: str) -> Response:
        return self.send("GET", path, accept=accept, **headers)

    def post(self, path: str, body: Body, content_type: str = JSON, **headers: str) -> Response:
        return self.send("POST", path, body, content_type=content_type, **headers)

    def put(self, path: str, body: Body, content_type: str = JSON, **headers: str) -> Response:
        return self.send("PUT", path, body, content_type=content_type, **headers)

    def patch(self, path: str, body: Body, content_type: str = JSON_PATCH, **headers: str) -> Response:
        return self.send("PATCH", path, body, content_type=content_type, **headers)

    def delete(self, path: str, **headers: str) -> Response:
        return self.send("DELETE", path, **headers)

    def form(self, path: str, pairs: Sequence[tuple[str, str]], **headers: str) -> Response:
        return self.post(path, urlencode(pairs).encode(), FORM, **headers)

    def send(self, method: str, path: str, body: Body = None, accept: str = JSON, **headers: str) -> Response:
        """Names of headers have underscores for hyphens; an empty Accept is not sent, nor is any other."""
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        named = {name: value for name, value in headers.items() if value}
        answer = self.client.request(method, path, body=sent, accept=accept or None, headers=named)
        if method != "GET":
            self._remember(answer)
        return answer

    def tidy(self) -> None:
        """Deletes what the run made; what another still refers to is tried again after that one."""
        left = list(dict.fromkeys(reversed(self.made)))
        for _ in range(3):
            left = [each for each in left if self.delete(each).status == 409]

    def _remember(self, answer: Response) -> None:
        if answer.status not in (200, 201):
            return
        locations = [answer.headers.get("location", "")]
        if answer.body and b"-response" in answer.body[:4000] and "json" in answer.media_type:
            locations += [entry.get("response", {}).get("location", "") for entry in answer.json().get("entry", [])]
        for location in locations:
            if location:
                self._remember_at(location)

    def _remember_at(self, location: str) -> None:
        path = location if not location.startswith("http") else self.client.path_of(location)
        kind, _, rest = path.strip("/").partition("/")
        if kind[:1].isupper() and rest:
            self.made.append(f"/{kind}/{rest.split('/')[0]}")


def body_of(answer: Response, resource_type: str = "") -> Resource:
    """The resource an answer carries, which must be of this type."""
    resource = answer.json()
    if not isinstance(resource, dict) or "resourceType" not in resource:
        raise Failed("the answer is no resource")
    kind = resource["resourceType"]
    expect(kind == (resource_type or kind), f"the answer is of type {kind}, expected {resource_type}")
    return resource


def refused(answer: Response, *statuses: int) -> list[Resource]:
    """The issues of an answer that must be a refusal of one of these statuses with an OperationOutcome."""
    expected = " or ".join(map(str, statuses))
    expect(answer.status in statuses, f"{answer.status} {told(answer)}, expected {expected}")
    issues: list[Resource] = body_of(answer, "OperationOutcome").get("issue", [])
    expect(bool(issues), "the OperationOutcome has no issue")
    for issue in issues:
        expect(bool(issue.get("severity")) and bool(issue.get("code")), "an issue lacks severity or code")
    return issues


def expect_status(answer: Response, *statuses: int) -> Response:
    expected = " or ".join(map(str, statuses))
    expect(answer.status in statuses, f"{answer.status} {told(answer)}, expected {expected}")
    return answer


def told(answer: Response) -> str:
    """The beginning of a body, for the text of a failure."""
    return answer.body[:300].decode(errors="replace")


def link(bundle: Resource, relation: str) -> str | None:
    return next((each["url"] for each in bundle.get("link", []) if each["relation"] == relation), None)


def entries(bundle: Resource, mode: str = "") -> list[Resource]:
    """The entries, those of one search mode where it is named."""
    return [each for each in bundle.get("entry", []) if not mode or each.get("search", {}).get("mode") == mode]


def matches(bundle: Resource) -> list[Resource]:
    return [each["resource"] for each in entries(bundle, "match")]


def ids(bundle: Resource, mode: str = "match") -> list[str]:
    """Ids in the order of the answer."""
    return [each["resource"]["id"] for each in entries(bundle, mode)]
