"""The committed reading of each audit pattern; `python -m tests.golden.audit_events` writes it anew, to be reviewed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from server.audit.balp import audit_events
from server.audit.dicom_message import messages
from tests.server.audit.recording import NODE
from tests.server.audit.samples import samples

FHIR = Path(__file__).parent / "audit_events.json"
DICOM = Path(__file__).parent / "audit_messages.xml"


def as_fhir() -> dict[str, list[dict[str, Any]]]:
    return {
        name: [
            resource
            for number, event in enumerate(events, 1)
            for resource in audit_events(f"log-1-{number}", event, NODE)
        ]
        for name, events in samples().items()
    }


def as_dicom() -> str:
    root = ElementTree.Element("AuditMessages")
    for name, events in samples().items():
        pattern = ElementTree.SubElement(root, "Pattern", {"id": name})
        for event in events:
            pattern.extend([ElementTree.fromstring(each) for each in messages(event, NODE)])
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def main() -> None:
    FHIR.write_text(_by_line(as_fhir()))
    DICOM.write_text(as_dicom())


def _by_line(patterns: dict[str, list[dict[str, Any]]]) -> str:
    """A line to a resource."""
    told = [
        f"{json.dumps(name)}: [\n" + ",\n".join(f" {json.dumps(each)}" for each in resources) + "\n]"
        for name, resources in patterns.items()
    ]
    return "{\n" + ",\n".join(told) + "\n}\n"


if __name__ == "__main__":
    main()
