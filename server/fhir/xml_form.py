"""Resources between XML bytes and plain dictionaries (FHIR R4 XML representation).

Reading is strict: elements in the order of their definition, nothing unknown, no text between elements. What comes in
may be hostile: no DTD, no entities, no network, and bounds on depth and on the length of names and values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from lxml import etree

from server.fhir import xml_writer
from server.fhir.json_form import MAX_DEPTH, Resource
from server.fhir.xml_shapes import FHIR, XHTML, Content, Slot, Table, resource_names, table
from server.fhir.xml_source import has_type_declaration, is_utf8, narratives, without_long_data, without_mark
from server.kernel.problem import Issue, Kind, Problem

_DIV = f"{{{XHTML}}}div"


def decode(text: bytes) -> Resource:
    """A resource from XML; a `Problem` (invalid, issue code `structure`, FHIRPath of the place) where it is none."""
    text = without_mark(text)
    if not is_utf8(text):
        raise _malformed("The XML is not UTF-8.")
    if has_type_declaration(text):
        raise _malformed("The XML has a document type declaration, which FHIR forbids.")
    shortened, data = without_long_data(text)
    try:
        root = etree.fromstring(shortened, _parser())
    except etree.XMLSyntaxError as error:
        raise _malformed(f"The XML cannot be read: line {error.lineno}, column {error.offset}.") from None
    if root is None:
        raise _malformed("The XML holds no element.")
    try:
        return _Reading(shortened, data).resource(root, 0)
    except _Refused as refused:
        place = _place(refused.element)
        raise Problem(Kind.INVALID, refused.text, (Issue(refused.text, place, refused.code),)) from None


def encode(resource: Resource, *, is_pretty: bool = False) -> bytes:
    """A document in UTF-8, elements in the order of the definition; a narrative that is no XHTML is left out."""
    return xml_writer.written(resource, is_xhtml, is_pretty=is_pretty)


def is_xhtml(text: str) -> bool:
    """Whether a narrative can stand in XML as it is: one well-formed `div` in the XHTML namespace."""
    source = text.encode("utf-8", "replace")
    if has_type_declaration(source):
        return False
    try:
        root = etree.fromstring(source, _parser())
    except etree.XMLSyntaxError:
        return False
    return root is not None and root.tag == _DIV


def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


class _Refused(Exception):
    def __init__(self, element: etree._Element, text: str, code: str = "structure") -> None:
        super().__init__(text)
        self.element = element
        self.text = text
        self.code = code


class _Reading:
    """One document on its way to a dictionary."""

    def __init__(self, text: bytes, data: Mapping[str, str]) -> None:
        self._data = data
        self._narratives: Iterator[bytes] = narratives(text)

    def resource(self, element: etree._Element, depth: int) -> Resource:
        name = resource_names().get(str(element.tag))
        if name is None:
            raise _Refused(element, f"The element {_named(element)} is not a resource of R4 in the namespace {FHIR}.")
        if element.items():
            raise _Refused(element, "A resource has no attributes.")
        return self._children(element, table(name), depth, {"resourceType": name})

    def _object(self, element: etree._Element, shape: Table, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, text in element.items():
            slot = shape.attributes.get(str(name))
            if slot is None:
                raise _Refused(element, f"The attribute {_local(str(name))} is not known here.")
            found[slot.name] = _value(element, slot, str(text))
        return self._children(element, shape, depth, found)

    def _children(self, element: etree._Element, shape: Table, depth: int, found: dict[str, Any]) -> dict[str, Any]:
        if depth > MAX_DEPTH:
            raise _Refused(element, "The XML is nested too deeply.")
        _no_text(element, element.text)
        last: Slot | None = None
        for child in element:
            slot = shape.children.get(str(child.tag))
            if slot is None:
                raise _Refused(child, f"The element {_named(child)} is not known here.")
            if last is not None and slot.position <= last.position:
                _may_follow(child, slot, last)
            if child.tail is not None:
                _no_text(child, child.tail)
            self._add(child, slot, depth, found)
            last = slot
        if not found:
            raise _Refused(element, "An element must have a value or children.", "invariant")
        return _aligned(found, shape)

    def _add(self, child: etree._Element, slot: Slot, depth: int, found: dict[str, Any]) -> None:
        match slot.content:
            case Content.PRIMITIVE:
                self._add_primitive(child, slot, depth, found)
                return
            case Content.COMPLEX:
                value: Any = self._object(child, table(slot.shape), depth + 1 + slot.repeats)
            case Content.RESOURCE:
                value = self._inner(child, depth + 1 + slot.repeats)
            case Content.NARRATIVE:
                value = self._narrative(child)
        if slot.repeats:
            found.setdefault(slot.name, []).append(value)
        else:
            found[slot.name] = value

    def _add_primitive(self, child: etree._Element, slot: Slot, depth: int, found: dict[str, Any]) -> None:
        value, extra = self._primitive(child, slot, depth)
        if not slot.repeats:
            if value is not None:
                found[slot.name] = value
            if extra is not None:
                found[slot.extra] = extra
            return
        values = found.setdefault(slot.name, [])
        values.append(value)
        if extra is not None:
            extras = found.setdefault(slot.extra, [])
            extras.extend([None] * (len(values) - 1 - len(extras)))
            extras.append(extra)

    def _primitive(self, child: etree._Element, slot: Slot, depth: int) -> tuple[Any, dict[str, Any] | None]:
        value: Any = None
        extra: dict[str, Any] = {}
        for name, text in child.items():
            if name == "value":
                value = _value(child, slot, self._data.get(str(text), str(text)) if self._data else str(text))
            elif name == "id":
                extra["id"] = str(text)
            else:
                raise _Refused(child, f"The attribute {_local(str(name))} is not known here.")
        if len(child):
            self._children(child, table("Element"), depth + 1 + slot.repeats, extra)
        else:
            _no_text(child, child.text)
        if value is None and not extra:
            raise _Refused(child, "An element must have a value or children.", "invariant")
        return value, extra or None

    def _inner(self, element: etree._Element, depth: int) -> Resource:
        """The one resource within `contained`, `resource` or `outcome`."""
        _no_text(element, element.text)
        if len(element) != 1 or element.items():
            raise _Refused(element, "There must be one resource here.")
        _no_text(element[0], element[0].tail)
        return self.resource(element[0], depth)

    def _narrative(self, element: etree._Element) -> str:
        text = next(self._narratives).decode("utf-8")
        if is_xhtml(text):
            return text
        # Its namespace was declared outside of it, or under a prefix.
        plain = etree.tostring(_unprefixed(element), encoding="unicode", with_tail=False)
        return str(plain)


def _value(element: etree._Element, slot: Slot, text: str) -> Any:
    if not text:
        raise _Refused(element, "An attribute must not be empty.", "value")
    try:
        return slot.read(text)
    except ValueError:
        raise _Refused(element, "The value does not have the form of its type.", "value") from None


def _no_text(element: etree._Element, text: str | None) -> None:
    if text is not None and text.strip():
        raise _Refused(element, "There is text beside elements.")


def _may_follow(child: etree._Element, slot: Slot, last: Slot) -> None:
    if slot.position < last.position:
        raise _Refused(child, f"The element {slot.name} must come before {last.name}.")
    if slot.name != last.name:
        raise _Refused(child, f"Only one of {slot.name} and {last.name} can be given.")
    if not slot.repeats:
        raise _Refused(child, f"The element {slot.name} cannot be repeated.")


def _aligned(found: dict[str, Any], shape: Table) -> dict[str, Any]:
    """With lists of primitives and of their extensions of one length, and no list of values that holds none."""
    for name in [name for name, value in found.items() if name[0] == "_" and type(value) is list]:
        values = found[name[1:]]
        found[name].extend([None] * (len(values) - len(found[name])))
        if all(each is None for each in values):
            del found[name[1:]]
    return found


def _unprefixed(element: etree._Element) -> etree._Element:
    """A copy that declares the XHTML namespace itself, as the default one."""
    copy = etree.Element(str(element.tag), dict(element.items()), nsmap={None: XHTML})  # type: ignore[arg-type,dict-item]
    copy.text = element.text
    for child in element:
        inner = _unprefixed(child)
        inner.tail = child.tail
        copy.append(inner)
    return copy


def _place(element: etree._Element) -> str:
    """FHIRPath of an element: `Bundle.entry[1].resource.name[0].given[0]`."""
    chain = [element, *element.iterancestors()][::-1]
    steps = [_local(str(chain[0].tag))]
    shape = table(steps[0]) if str(chain[0].tag) in resource_names() else None
    for each in chain[1:]:
        if str(each.tag) in resource_names() and shape is None:
            shape = table(_local(str(each.tag)))
            continue
        slot = shape.children.get(str(each.tag)) if shape is not None else None
        steps.append(_step(each, slot))
        shape = _inside(slot)
    return ".".join(steps)


def _step(element: etree._Element, slot: Slot | None) -> str:
    if slot is None:
        return _local(str(element.tag))
    earlier = sum(1 for _ in element.itersiblings(str(element.tag), preceding=True))
    return f"{slot.path}[{earlier}]" if slot.repeats else slot.path


def _inside(slot: Slot | None) -> Table | None:
    if slot is None or slot.content in (Content.RESOURCE, Content.NARRATIVE):
        return None
    return table(slot.shape if slot.content is Content.COMPLEX else "Element")


def _named(element: etree._Element) -> str:
    """The name without its namespace, cut short: it comes from outside."""
    return _local(str(element.tag))


def _local(name: str) -> str:
    return name.rpartition("}")[2][:64]


def _malformed(text: str) -> NoReturn:
    raise Problem(Kind.INVALID, text, (Issue(text, None, "structure"),))
