"""The validator: what a resource must be by R4, by the profiles it claims and by those asked for.

One pass of compiled checks over the base definitions, then each profile's own demands. It answers with findings and
never raises, whatever the JSON value; its time grows with the size of the resource.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from profiles import ucum
from profiles.definitions import CANONICAL, definitions
from profiles.findings import Finding, Severity
from profiles.validator import bundles, conform, contexts, publications, resources, soundness, vital_signs
from profiles.validator.items import Item
from profiles.validator.members import check_object
from profiles.validator.memory import Memory
from profiles.validator.options import Options
from profiles.validator.place import Place, root
from profiles.validator.profile import MalformedProfileError, compile_profile
from profiles.validator.run import Run, Scope, Structures, Terminology
from profiles.validator.shapes import shape
from profiles.validator.snapshot import SnapshotError, snapshot
from profiles.validator.tree import Node, Profile

_MAX_KNOWN_CODES = 100_000
_MIME_TYPES = "http://hl7.org/fhir/ValueSet/mimetypes"
_SHORT_FORMATS = frozenset({"xml", "json", "ttl", "none"})
"""Names that FHIR's formats have beside their media types (CapabilityStatement.format, TestScript)."""
_ABSTRACT = frozenset({"Resource", "DomainResource", "MetadataResource"})


class Validator:
    """Compiles profiles once and keeps them; `forget` after the structures or value sets have changed."""

    def __init__(
        self,
        structures: Structures,
        terminology: Terminology,
        options: Options | None = None,
        unusable: Callable[[str], None] | None = None,
    ) -> None:
        """`unusable` is told the URL of each profile that is there and cannot be used."""
        self._unusable = unusable
        self._structures = structures
        self._terminology = terminology
        self._options = options or Options()
        self._profiles: dict[str, Profile | None] = {}
        self._members: dict[tuple[str, str | None, str], bool | None] = {}
        self._codes: dict[tuple[str, str], bool | None] = {}
        self._sound: dict[str, bool] = {}
        self._memory = Memory()

    def forget(self) -> None:
        self._profiles, self._members, self._codes, self._sound = {}, {}, {}, {}
        self._memory = Memory()

    def validate(self, resource: Any, *, profiles: Sequence[str] = (), check_declared: bool = True) -> list[Finding]:
        """Everything there is to say of a resource; no error among it means that it is valid."""
        run = Run(self, self._options, Scope({}, root("Resource")), check_declared, self._memory)
        try:
            self._validate(resource, profiles, run)
        except RecursionError:
            run.add(Severity.FATAL, "too-costly", root("Resource"), "The resource is nested too deeply.")
        return run.findings

    def _validate(self, resource: Any, profiles: Sequence[str], run: Run) -> None:
        type_name = _type_of(resource)
        if type_name is None:
            run.add(Severity.FATAL, "structure", root("Resource"), _no_type(resource))
            return
        place = root(type_name)
        self._check(resource, type_name, Scope(resource, place), run)
        if profiles:
            with run.within(Scope(resource, place)):
                for url in dict.fromkeys(profiles):
                    self._apply_named(url, resource, place, run, Severity.ERROR)

    def nested(self, resource: Any, place: Place, run: Run) -> None:
        """A resource that stands within another."""
        type_name = _type_of(resource)
        if type_name is None:
            run.error("structure", place, _no_type(resource))
            return
        self._check(resource, type_name, resources.scope_of(resource, place, run), run)

    def _check(self, resource: dict[str, Any], type_name: str, scope: Scope, run: Run) -> None:
        of_type = shape(type_name)
        if of_type is None:
            return
        if scope.container is not None and not run.options.check_contained:
            return
        before, run.scope = run.scope, scope
        check_object(of_type, resource, scope.place, run)
        if "contained" in resource:
            resources.check_contained(resource, scope.place, run)
        if type_name == "Bundle":
            bundles.check(resource, scope.place, run)
        publications.check(resource, type_name, scope.place, run)
        if run.check_declared:
            self._check_declared(resource, type_name, scope.place, run)
        run.scope = before

    def _check_declared(self, resource: dict[str, Any], type_name: str, place: Place, run: Run) -> None:
        for url in self._options.profiles_of_types.get(type_name, ()):
            self._apply_named(url, resource, place, run, Severity.ERROR)
        meta = resource.get("meta")
        declared = meta.get("profile") if type(meta) is dict else None
        urls = [each for each in declared if type(each) is str] if type(declared) is list else []
        for url in urls:
            self._apply_named(url, resource, place, run, Severity.WARNING)
        if type_name == "Observation":
            vital_signs.check_codes(resource, place, run)
            for url in sorted(vital_signs.implied(resource).difference(urls)):
                self._apply_named(url, resource, place, run, Severity.WARNING)

    def _apply_named(self, url: str, resource: dict[str, Any], place: Place, run: Run, unknown: Severity) -> None:
        if _is_base(url, resource):
            return
        profile = self.profile(url)
        if profile is None:
            run.add(unknown, "not-found", place, f"The profile {_shown(url)} is not known.", url)
        else:
            conform.apply(profile, resource, place, run)

    def apply_named(self, url: str, resource: dict[str, Any], place: Place, run: Run) -> None:
        with run.within(resources.scope_of(resource, place, run)):
            self._apply_named(url, resource, place, run, Severity.ERROR)

    def profile(self, url: str) -> Profile | None:
        """A profile by canonical URL, compiled; `None` where it is not known or cannot be used."""
        known = self._profiles  # the same one for the answer: `forget` may come between
        try:
            return known[url]
        except KeyError:
            found = known[url] = self._compiled(url)
            return found

    def extension(self, url: str) -> Profile | None:
        found = self.profile(url)
        return found if found is not None and found.type == "Extension" else None

    def _compiled(self, url: str) -> Profile | None:
        whole, _, element = url.partition("#")
        if element:
            found = self.profile(whole)
            return found.at(element) if found is not None else None
        structure = self.sound(url)
        if structure is None:
            return None
        try:
            return compile_profile(structure, list(snapshot(structure, self.sound)))
        except (SnapshotError, MalformedProfileError):
            if self._unusable is not None:
                self._unusable(url)
            return None

    def sound(self, url: str) -> dict[str, Any] | None:
        """A StructureDefinition whose elements have the form that R4 gives them: what is not of it cannot be used."""
        structure = self.find(url)
        if structure is None or structure is definitions().structure(url.partition("|")[0]):
            return structure
        if url not in self._sound:
            place = root("StructureDefinition")
            run = Run(self, Options(), Scope(structure, place), check_declared=False)
            self._sound[url] = soundness.is_sound(structure, place, run)
        return structure if self._sound[url] else None

    def find(self, url: str) -> dict[str, Any] | None:
        """A StructureDefinition by canonical URL, with or without its version."""
        plain, _, version = url.partition("|")
        return (
            definitions().structure(plain)
            or self._structures.find(url)
            or (self._structures.find(plain) if version else None)
        )

    def root_of(self, url: str) -> Node | None:
        found = self.profile(url)
        return found.root if found is not None else None

    def type_of(self, url: str) -> str | None:
        """The type that a structure is of."""
        structure = self.find(url)
        return str(structure.get("type")) if structure is not None else None

    def is_member(self, value_set: str, system: str | None, code: str) -> bool | None:
        if code in _SHORT_FORMATS and value_set.startswith(_MIME_TYPES):
            return True
        known, key = self._members, (value_set, system, code)
        try:
            return known[key]
        except KeyError:
            if len(known) >= _MAX_KNOWN_CODES:
                known.clear()
            found = known[key] = self._terminology.is_member(value_set, system, code)
            return found

    def is_code(self, system: str, code: str) -> bool | None:
        key = (system, code)
        try:
            return self._codes[key]
        except KeyError:
            if len(self._codes) >= _MAX_KNOWN_CODES:
                self._codes.clear()
            found = self._codes[key] = self._terminology.is_code(system, code)
            return found

    def apply(self, profile: Profile, value: Any, place: Place, run: Run) -> None:
        conform.apply(profile, value, place, run)

    def check_context(self, structure: dict[str, Any], place: Place, run: Run) -> None:
        contexts.check_context(structure, place, run)

    def conforms(self, profile: Profile, value: Any, place: Place, run: Run) -> bool:
        return conform.conforms(profile, value, place, run)

    def holds_of(self, node: Node, item: Item, run: Run) -> bool:
        """Whether an item meets a node of a profile, without a word."""
        with run.aside() as found:
            conform.conform_item(node, item, "", run)
        return not any(each.is_error for each in found)

    @staticmethod
    def canonical(value: Decimal, code: str) -> tuple[Decimal, str] | None:
        return ucum.canonical(value, code)


def _type_of(resource: Any) -> str | None:
    type_name = resource.get("resourceType") if type(resource) is dict else None
    if type(type_name) is not str or type_name in _ABSTRACT or type_name not in _resource_types():
        return None
    return type_name


def _resource_types() -> frozenset[str]:
    global _types
    _types = _types or frozenset(definitions().resource_types)
    return _types


_types: frozenset[str] = frozenset()


def _no_type(resource: Any) -> str:
    if type(resource) is not dict:
        return "A resource is an object."
    if "resourceType" not in resource:
        return "A resource has a resourceType."
    return "The resourceType is none of R4."


def _is_base(url: str, resource: dict[str, Any]) -> bool:
    return url.partition("|")[0] == CANONICAL + str(resource.get("resourceType"))


def _shown(url: str) -> str:
    return url if len(url) <= 300 and url.isprintable() else "named"
