"""Search parameters of MHD that R4 lacks (IHE ITI TF-2 3.66 and 3.67), and those of imaging manifests (RAD MADO).

What stands in for a chain has its name: `author.family` finds the authors contained in a DocumentReference, which have
no place of their own that a chain could lead to.
"""

from __future__ import annotations

from typing import Any

from profiles.packages.canonical import head

_MHD = "https://profiles.ihe.net/ITI/MHD/SearchParameter/"
_STRUCTURES = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/"
_RELATED = "DocumentReference.context.related.identifier"


def resources() -> tuple[dict[str, Any], ...]:
    return (
        _parameter("DocumentReference-Creation", "creation", "DocumentReference", "date",
            "DocumentReference.content.attachment.creation", "When a document was made",
            f"{_MHD}DocumentReference-Creation"),
        _parameter("List-DesignationType", "designationType", "List", "token", _extension("ihe-designationType"),
            "What a submission set or folder is for", f"{_MHD}List-DesignationType"),
        _parameter("List-SourceId", "sourceId", "List", "token", _extension("ihe-sourceId"),
            "Who provided a submission set", f"{_MHD}List-SourceId"),
        _parameter("DocumentReference-study-instance-uid", "study-instance-uid", "DocumentReference", "token",
            f"{_RELATED}.where(system = 'urn:dicom:uid')", "The study a document is about"),
        _parameter("DocumentReference-accession-number", "accession-number", "DocumentReference", "token",
            f"{_RELATED}.where(type.coding.where(code = 'ACSN').exists())", "The examination a document is about"),
        *(_person(base, link, name) for base, link in (("DocumentReference", "author"), ("List", "source"))
          for name in ("family", "given")),
    )  # fmt: skip


def _extension(name: str) -> str:
    return f"List.extension.where(url = '{_STRUCTURES}{name}').value"


def _person(base: str, link: str, name: str) -> dict[str, Any]:
    path = f"{base}.{link}.resolve()"
    alone, in_role = f"{path}.ofType(Practitioner)", f"{path}.ofType(PractitionerRole).practitioner.resolve()"
    expression = f"{alone}.name.{name} | {in_role}.name.{name}"
    text = f"The {name} name of a contained {link}"
    return _parameter(f"{base}-{link}-{name}", f"{link}.{name}", base, "string", expression, text)


def _parameter(
    resource_id: str, code: str, base: str, kind: str, expression: str, text: str, url: str = ""
) -> dict[str, Any]:
    name = "".join(part[:1].upper() + part[1:] for part in resource_id.split("-"))
    made = head("SearchParameter", resource_id, name, text, f"{text}.")
    # SearchParameter has neither title nor a place for one.
    del made["title"]
    made |= {"code": code, "base": [base], "type": kind, "expression": expression, "xpathUsage": "normal"}
    return made | ({"url": url} if url else {})
