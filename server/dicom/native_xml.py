"""The Native DICOM Model, XML for what DICOM JSON says, both ways (PS3.19 A.1).

What comes in may be hostile: no DTD, no entities, no network, and bounds on length and depth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lxml import etree

from server.dicom import dictionary
from server.dicom.instance import DicomJson
from server.dicom.values import BINARY_VRS, LONG_VRS, SHORT_VRS, number_of
from server.kernel.problem import Kind, Problem

NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"

_LONGEST = 64 << 20
_DEEPEST = 64
_SPARSEST = 1000
"""How far a number may be ahead of the values there are."""
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters XML 1.0 cannot carry, not even escaped."""
_HEX = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_WHOLE = frozenset({"SL", "SS", "SV", "UL", "US", "UV"})
_SAFE = 2**53


def to_xml(dataset: DicomJson) -> bytes:
    """One document for one data set."""
    root = etree.XML(f'<NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve"/>')
    _write(root, dataset)
    text: bytes = etree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return text


def from_xml(text: bytes) -> dict[str, Any]:
    """The data set of one document; `Problem` for anything that is not one."""
    if len(text) > _LONGEST:
        raise Problem(Kind.TOO_LARGE, f"An XML data set of more than {_LONGEST} bytes.")
    root = _parse(text)
    if _name_of(root) != "NativeDicomModel":
        raise _invalid("the root element is not NativeDicomModel")
    return _read(root, 0)


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _write(parent: etree._Element, dataset: DicomJson) -> None:
    for tag, attribute in dataset.items():
        node = etree.SubElement(parent, _tag("DicomAttribute"), tag=tag, vr=attribute["vr"])
        keyword, creator = dictionary.keyword_of(tag), _creator(dataset, tag)
        if keyword:
            node.set("keyword", keyword)
        if creator:
            node.set("tag", f"{tag[:4]}00{tag[6:]}")
            node.set("privateCreator", _clean(creator))
        _write_value(node, attribute)


def _creator(dataset: DicomJson, tag: str) -> str | None:
    """Who reserved the block of a private attribute (PS3.5 7.8.1)."""
    if not dictionary.is_private(tag) or tag[4:6] == "00":
        return None
    values = dataset.get(f"{tag[:4]}00{tag[4:6]}", {}).get("Value")
    return values[0] if values and isinstance(values[0], str) else None


def _write_value(node: etree._Element, attribute: Mapping[str, Any]) -> None:
    if "BulkDataURI" in attribute:
        etree.SubElement(node, _tag("BulkData"), uri=_clean(attribute["BulkDataURI"]))
    elif "InlineBinary" in attribute:
        etree.SubElement(node, _tag("InlineBinary")).text = attribute["InlineBinary"]
    for number, value in enumerate(attribute.get("Value", ()), 1):
        if attribute["vr"] == "SQ":
            _write(etree.SubElement(node, _tag("Item"), number=str(number)), value or {})
        elif attribute["vr"] == "PN":
            _write_name(etree.SubElement(node, _tag("PersonName"), number=str(number)), value or {})
        else:
            child = etree.SubElement(node, _tag("Value"), number=str(number))
            child.text = None if value is None else _clean(str(value))


def _write_name(node: etree._Element, name: Mapping[str, str]) -> None:
    for group in _GROUPS:
        if not name.get(group):
            continue
        child = etree.SubElement(node, _tag(group))
        for label, text in zip(_COMPONENTS, name[group].split("^", len(_COMPONENTS) - 1), strict=False):
            if text:
                etree.SubElement(child, _tag(label)).text = _clean(text)


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def _parse(text: bytes) -> etree._Element:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(text, parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        raise _invalid(f"not well-formed at line {line}, column {column}") from None
    except ValueError:
        raise _invalid("it cannot be read as XML") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise _invalid("a document type declaration is not accepted")
    return root


def _name_of(node: etree._Element) -> str:
    """The local name; the namespace is not insisted on, since older writers leave it out."""
    return etree.QName(node).localname if isinstance(node.tag, str) else ""


def _children(node: etree._Element, *names: str) -> list[etree._Element]:
    return [child for child in node if _name_of(child) in names]


def _read(node: etree._Element, depth: int) -> dict[str, Any]:
    if depth > _DEEPEST:
        raise _invalid(f"sequences are nested more than {_DEEPEST} deep")
    dataset: dict[str, Any] = {}
    private: list[tuple[str, str, dict[str, Any]]] = []
    for child in _children(node, "DicomAttribute"):
        tag, attribute = (child.get("tag") or "").upper(), _attribute(child, depth)
        creator = child.get("privateCreator")
        if not _HEX.fullmatch(tag):
            raise _invalid("a DicomAttribute has no tag of 8 hexadecimal digits")
        if creator and dictionary.is_private(tag) and tag[4:6] == "00":
            private.append((tag, creator, attribute))
        elif dataset.setdefault(tag, attribute) is not attribute:
            raise _invalid(f"{tag} appears twice")
    for tag, creator, attribute in private:
        dataset[_place(dataset, tag, creator)] = attribute
    return dict(sorted(dataset.items()))


def _place(dataset: dict[str, Any], tag: str, creator: str) -> str:
    """The tag a private attribute gets: in its creator's block, which is reserved if need be."""
    for block in range(0x10, 0x100):
        reserved = dataset.setdefault(f"{tag[:4]}00{block:02X}", {"vr": "LO", "Value": [creator]})
        place = f"{tag[:4]}{block:02X}{tag[6:]}"
        if reserved.get("Value") == [creator] and place not in dataset:
            return place
    raise _invalid(f"no block is left for the private attribute {tag}")


def _attribute(node: etree._Element, depth: int) -> dict[str, Any]:
    vr, tag = node.get("vr") or "", node.get("tag") or ""
    if vr not in SHORT_VRS | LONG_VRS:
        raise _invalid(f"{tag[:8]} has no VR, or none that is known")
    for child in _children(node, "BulkData", "InlineBinary"):
        if _name_of(child) == "BulkData":
            return {"vr": vr, "BulkDataURI": child.get("uri") or child.get("uuid") or ""}
        return {"vr": vr, "InlineBinary": "".join((child.text or "").split())}
    values = _values(node, vr, depth)
    return {"vr": vr, "Value": values} if values else {"vr": vr}


def _values(node: etree._Element, vr: str, depth: int) -> list[Any]:
    match vr:
        case "SQ":
            items = _numbered(_children(node, "Item"))
            return [{} if item is None else _read(item, depth + 1) for item in items]
        case "PN":
            names = _numbered(_children(node, "PersonName"))
            return [None if name is None else _name(name) for name in names]
        case _ if vr in BINARY_VRS:
            return []
        case _:
            texts = [None if value is None else value.text for value in _numbered(_children(node, "Value"))]
            return list(_from_texts(vr, texts, node.get("tag") or ""))


def _numbered(nodes: Sequence[etree._Element]) -> list[etree._Element | None]:
    """In the order of their numbers, with `None` where one is left out."""
    placed: dict[int, etree._Element] = {}
    for position, node in enumerate(nodes, 1):
        text = node.get("number") or str(position)
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
        if not 1 <= number <= len(nodes) + _SPARSEST or number in placed:
            raise _invalid("numbers of values or items must count from 1")
        placed[number] = node
    return [placed.get(number) for number in range(1, max(placed, default=0) + 1)]


def _name(node: etree._Element) -> dict[str, str] | None:
    groups = {_name_of(child): _components(child) for child in _children(node, *_GROUPS)}
    return {group: groups[group] for group in _GROUPS if groups.get(group)} or None


def _components(node: etree._Element) -> str:
    texts = {_name_of(child): child.text or "" for child in _children(node, *_COMPONENTS)}
    return "^".join(texts.get(label, "") for label in _COMPONENTS).rstrip("^")


def _from_texts(vr: str, texts: Sequence[str | None], tag: str) -> Iterator[Any]:
    for text in texts:
        try:
            yield _from_text(vr, text) if text else None
        except ValueError:
            raise _invalid(f"a value of {tag[:8]} is not one of VR {vr}") from None


def _from_text(vr: str, text: str) -> Any:
    if vr in _WHOLE or vr == "IS":
        if vr == "IS" and not text.strip().lstrip("+-").isdigit():
            return text
        number = int(text[:32])
        return number if abs(number) <= _SAFE else str(number)
    if vr in ("FL", "FD"):
        return float(text)
    if vr == "DS":
        decimal = number_of(text.strip())
        return text if decimal is None else decimal
    return text


def _invalid(text: str) -> Problem:
    return Problem(Kind.INVALID, f"Not a Native DICOM Model: {text}.")
