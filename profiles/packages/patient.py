"""The profile of a Chinese patient: citizen number with its check, hospital and card numbers, names in both scripts."""

from __future__ import annotations

from typing import Any

from profiles.china.citizen import CHECKS, SYSTEM, WEIGHTS
from profiles.packages.canonical import HL7, IDENTIFIER_TYPE
from profiles.packages.structures import Element, Rule, element, profile, slicing

HEALTH_CARD = "urn:oid:2.16.156.10011.1.19"
REPRESENTATION = HL7 + "iso21090-EN-representation"

_DAY = "[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])$"
_NUMBER = f"identifier.where(system = '{SYSTEM}').value.where(length() = 18)"


def resources() -> tuple[dict[str, Any], ...]:
    text = (
        "A patient as Chinese hospitals register one: by citizen number where it is known, hospital number, health "
        "card, and a name in characters and in pinyin."
    )
    return (
        profile(
            "cn-patient",
            name="ChinesePatient",
            title="Patient with Chinese identifiers",
            text=text,
            resource_type="Patient",
            rules=_agreement() + _names(),
            elements=[
                element("Patient.identifier", slicing=slicing("pattern", "$this")),
                *_citizen_number(),
                *_typed("hospital", "Number within the hospital", "MR", None),
                *_typed("healthCard", "Number of the health card", "HC", HEALTH_CARD),
                element("Patient.name", min=1),
            ],
        ),
    )


def _citizen_number() -> list[Element]:
    return [
        element(
            "Patient.identifier:citizen",
            "Citizen identification number (GB 11643)",
            definition="18 characters with a check, or 15 digits as given out until 1999. Also the permits of the same "
            "form for people from Hong Kong, Macau and Taiwan and for foreigners.",
            max="1",
            patternIdentifier={"system": SYSTEM},
            rules=(*_form(), _check()),
        ),
    ]


def _form() -> list[Rule]:
    return [
        Rule(
            "weft-citizen-form",
            "The number has 17 digits and a digit or X, or 15 digits.",
            "value.exists() and (value.matches('^[1-9][0-9]{16}[0-9X]$') or value.matches('^[1-8][0-9]{14}$'))",
        ),
        Rule(
            "weft-citizen-birth",
            "Digits 7 on are a date (in 15 digits: without the century).",
            f"(value.length() = 18 implies value.substring(6, 8).matches('^(19|20){_DAY}'))"
            f" and (value.length() = 15 implies value.substring(6, 6).matches('^{_DAY}'))",
        ),
    ]  # fmt: skip


def _check() -> Rule:
    """The check as FHIRPath: GB 11643's weighted sum picks the last character."""
    terms = [f"value.substring({place}, 1).toInteger() * {weight}" for place, weight in enumerate(WEIGHTS)]
    picked = f"'{CHECKS}'.substring(({' + '.join(terms)}) mod 11, 1)"
    return Rule(
        "weft-citizen-check",
        "The last character is the check of the 17 digits before it.",
        f"value.matches('^[1-9][0-9]{{16}}[0-9X]$') implies {picked} = value.substring(17, 1)",
    )


def _agreement() -> list[Rule]:
    """A stated birth date or sex stands; that the number says otherwise is worth a look."""
    odd = f"({_NUMBER}.substring(16, 1).toInteger() mod 2) = 1"
    return [
        Rule(
            "weft-citizen-birth-date",
            "The birth date is that of the citizen number.",
            f"({_NUMBER}.exists() and birthDate.exists() and birthDate.toString().length() = 10)"
            f" implies {_NUMBER}.first().substring(6, 8) = birthDate.toString().replace('-', '')",
            is_error=False,
        ),
        Rule(
            "weft-citizen-sex",
            "The sex is that of the citizen number: an odd 17th digit for male, an even one for female.",
            f"({_NUMBER}.exists() and (gender = 'male' or gender = 'female')) implies (gender = 'male') = ({odd})",
            is_error=False,
        ),
    ]


def _names() -> list[Rule]:
    marked = f"extension.where(url = '{REPRESENTATION}').value"
    return [
        Rule("weft-name-text", "A name has its text, or family and given name.",
            "name.all(text.exists() or family.exists() or given.exists())"),
        Rule("weft-name-script", "A name in characters and one in letters are told apart by their representation.",
            f"name.count() < 2 or name.where({marked}.exists()).exists()", is_error=False),
    ]  # fmt: skip


def _typed(name: str, short: str, code: str, system: str | None) -> list[Element]:
    pattern: dict[str, Any] = {"type": {"coding": [{"system": IDENTIFIER_TYPE, "code": code}]}}
    if system:
        pattern["system"] = system
    there = Rule(f"weft-{name}-there", "The number and the system it is unique in are given.",
        "system.exists() and value.exists()")  # fmt: skip
    return [element(f"Patient.identifier:{name}", short, patternIdentifier=pattern, rules=[there])]
