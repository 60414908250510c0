"""HL7's official R4 examples, read out of their archive."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path


def r4_examples(shared: Path) -> Iterator[tuple[str, bytes]]:
    """File name and bytes of each."""
    with tarfile.open(shared / "data/fhir/examples/official-r4-examples.tar.xz") as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is not None and member.name.endswith(".json"):
                yield Path(member.name).name, content.read()
