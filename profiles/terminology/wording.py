"""The words for a code: displays and designations, in the language somebody asks for (BCP 47)."""

from __future__ import annotations

from collections.abc import Iterable

from profiles.terminology.code_system import CodeSystem, Concept, Resource
from profiles.terminology.extent import Wording


def concept_of(system: CodeSystem | None, code: str) -> Concept | None:
    return system.find(code) if system else None


def designations(wording: Wording | None, concept: Concept | None) -> list[Resource]:
    """Those of the value set, then those of the code system."""
    stated = [*(wording.designations if wording else ()), *(concept.designations if concept else ())]
    return list({repr(each): each for each in stated}.values())


def display(wording: Wording | None, concept: Concept | None, languages: str | None = None) -> str | None:
    """The designation in the first language that has one; else the value set's display, else the code system's."""
    if languages:
        found = _in_language(designations(wording, concept), languages)
        if found is not None:
            return found
    if wording and wording.display is not None:
        return wording.display
    return concept.display if concept else None


def words(wording: Wording | None, concept: Concept | None) -> list[str]:
    """Everything the code may be called."""
    found = [display(wording, concept), concept.display if concept else None]
    found += [each.get("value") for each in designations(wording, concept)]
    return list(dict.fromkeys(each for each in found if each))


def is_called(name: str, names: Iterable[str]) -> bool:
    """Whether a display is one of these, whatever its case and white space."""
    return _folded(name) in map(_folded, names)


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()


def _in_language(stated: list[Resource], languages: str) -> str | None:
    for wanted in languages.split(","):
        tag = wanted.partition(";")[0].strip().lower()
        for each in stated:
            language = each.get("language", "").lower()
            if tag and (language == tag or language.startswith(tag + "-")):
                return str(each["value"])
    return None
