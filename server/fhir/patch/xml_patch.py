"""XML Patch (RFC 5261) on resources: applied to the XML form, which is read back as strictly as any XML sent."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lxml import etree

from server.fhir import xml_form
from server.fhir.json_form import Resource
from server.fhir.patch import selectors
from server.fhir.patch.change import MAX_OPERATIONS, Change, inapplicable, unreadable
from server.fhir.xml_source import has_type_declaration, is_utf8, without_mark

MEDIA_TYPE = "application/xml-patch+xml"


@dataclass(frozen=True, slots=True)
class Operation:
    number: int
    selector: etree.XPath
    element: etree._Element

    @property
    def name(self) -> str:
        return etree.QName(self.element).localname

    @property
    def text(self) -> str:
        return self.element.text or ""

    def content(self) -> list[etree._Element]:
        """Copies of the nodes it brings."""
        return [copy.deepcopy(each) for each in self.element]


def parse(text: bytes) -> Change:
    """The change that a patch document describes; a `Problem` (invalid) where it is none."""
    operations = parse_operations(_root(without_mark(text)))
    return lambda resource: _patched(resource, operations)


def parse_operations(root: etree._Element) -> list[Operation]:
    elements = [each for each in root if isinstance(each.tag, str)]
    if not 0 < len(elements) <= MAX_OPERATIONS:
        raise unreadable(f"An XML Patch has between 1 and {MAX_OPERATIONS} operations.")
    return [_operation(each, number) for number, each in enumerate(elements)]


def apply(root: etree._Element, operations: Sequence[Operation]) -> etree._Element:
    """The document with the operations done in order, in place."""
    for each in operations:
        targets = selectors.found(each.selector, root)
        if len(targets) != 1:
            raise inapplicable("The selector must find one node.", each.number)
        _APPLY[each.name](each, targets[0])
    return root


def _patched(resource: Resource, operations: Sequence[Operation]) -> Resource:
    root = apply(_root(xml_form.encode(resource)), operations)
    return xml_form.decode(etree.tostring(root, encoding="utf-8"))


def _root(text: bytes) -> etree._Element:
    if not is_utf8(text) or has_type_declaration(text):
        raise unreadable("The XML is not UTF-8, or has a document type declaration, which FHIR forbids.")
    parser = etree.XMLParser(encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, remove_pis=True)
    try:
        root = etree.fromstring(text, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise unreadable("The XML cannot be read.") from None
    if root is None:
        raise unreadable("The XML holds no element.")
    return root


def _operation(element: etree._Element, number: int) -> Operation:
    if etree.QName(element).localname not in _APPLY:
        raise unreadable("An operation of XML Patch is add, replace or remove.", number)
    declared = {prefix: uri for prefix, uri in element.nsmap.items() if prefix}
    try:
        selector = selectors.compiled(element.get("sel", ""), {**selectors.PREFIXES, **declared})
    except ValueError:
        raise unreadable("The selector is none, or more than is understood here.", number) from None
    if element.get("pos") not in (None, "before", "after", "prepend"):
        raise unreadable("The position is before, after or prepend.", number)
    return Operation(number, selector, element)


def _add(operation: Operation, target: Any) -> None:
    if not isinstance(target, etree._Element):
        raise unreadable("Only to an element something can be added.", operation.number)
    kind, position = operation.element.get("type", ""), operation.element.get("pos")
    if kind.startswith("namespace::"):
        return  # A prefix nobody uses has no meaning in a resource.
    if kind.startswith("@"):
        _set(operation, target, kind[1:])
    elif position in ("before", "after"):
        _insert_beside(operation, target, position)
    elif position == "prepend":
        for place, each in enumerate(operation.content()):
            target.insert(place, each)
    else:
        _append(operation, target)


def _set(operation: Operation, target: etree._Element, name: str) -> None:
    try:
        target.set(name, operation.text)
    except ValueError:
        raise unreadable("An attribute has no such name or value.", operation.number) from None


def _append(operation: Operation, target: etree._Element) -> None:
    if operation.text.strip():
        if len(target):
            target[-1].tail = (target[-1].tail or "") + operation.text
        else:
            target.text = (target.text or "") + operation.text
    target.extend(operation.content())


def _insert_beside(operation: Operation, target: etree._Element, position: str) -> None:
    parent = target.getparent()
    if parent is None:
        raise inapplicable("Nothing can stand beside the resource.", operation.number)
    place = parent.index(target) + (position == "after")
    for each in reversed(operation.content()):
        parent.insert(place, each)


def _replace(operation: Operation, target: Any) -> None:
    if not isinstance(target, etree._Element):
        _write_string(target, operation.text)
        return
    content, parent = operation.content(), target.getparent()
    if len(content) != 1 or parent is None:
        raise unreadable("An element is replaced by one element, and the root not at all.", operation.number)
    content[0].tail = target.tail
    parent.replace(target, content[0])


def _remove(operation: Operation, target: Any) -> None:
    if not isinstance(target, etree._Element):
        _write_string(target, None)
        return
    parent = target.getparent()
    if parent is None:
        raise inapplicable("The resource itself cannot be removed.", operation.number)
    parent.remove(target)


def _write_string(target: Any, text: str | None) -> None:
    """An attribute or a text, which lxml gives as a string that knows where it stands."""
    owner = target.getparent()
    if target.is_attribute:
        if text is None:
            del owner.attrib[target.attrname]
        else:
            owner.set(target.attrname, text)
    elif target.is_tail:
        owner.tail = text
    else:
        owner.text = text


_APPLY: dict[str, Callable[[Operation, Any], None]] = {"add": _add, "replace": _replace, "remove": _remove}
