"""SNOMED CT identifiers as far as their digits tell (SNOMED CT Release File Specifications, 5.4 to 5.8).

Before the check digit at the end two digits tell whether an identifier is one of the International Edition or of an
extension. What an extension defines is unknown to everyone else unless the coding's version names the edition.
"""

from __future__ import annotations

SYSTEM = "http://snomed.info/sct"


def is_of_extension(code: str) -> bool:
    """Whether it is a concept that only a national extension defines."""
    return code[-3:-1] == "10" and 6 <= len(code) <= 18 and code.isascii() and code.isdigit()
