"""Codes that their own system does not have, whatever value set is asked for.

HL7's own examples hold such codes, so this is said as doubtful.
"""

from __future__ import annotations

from typing import Any

from profiles.validator import snomed
from profiles.validator.place import Place
from profiles.validator.run import Run


def check(item: Any, place: Place, run: Run) -> None:
    """Of a Coding or Quantity: its code is one of its system, where the system is held here as a whole."""
    if type(item) is not dict:
        return
    system, code = item.get("system"), item.get("code")
    if type(system) is not str or type(code) is not str:
        return
    if run.validator.is_code(system, code) is False:
        text = "The code is none of its code system."
        run.add(run.options.doubtful, "code-invalid", (place, "code", None), text)
    elif system == snomed.SYSTEM and "version" not in item and snomed.is_of_extension(code):
        text = "The code is of a national extension of SNOMED CT, and no version names the edition."
        run.add(run.options.doubtful, "code-invalid", (place, "code", None), text)
