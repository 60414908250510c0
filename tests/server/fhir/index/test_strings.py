"""Strings and texts: folding, modifiers, names and addresses part by part (S70 to S75, S162)."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.fhir.index.folding import fold
from server.fhir.index.indexer import Indexer
from server.kernel.problem import Problem
from tests.server.fhir.index.asking import REGISTRY, found, is_found, names, resource


def city(name: str) -> dict[str, Any]:
    return {"address": [{"city": name}]}


@pytest.mark.parametrize(
    ("asked", "stored"),
    [
        ("sea", "Seattle"),
        ("muller", "Müller"),
        ("Müller", "Muller"),
        ("MU\u0308LLER", "M\u00fcller"),
        ("strasse", "Straße"),
        ("STRASSE", "straße"),
        ("οδυσσεασ", "Οδυσσέας"),
        ("ПЕТРОВ", "Петров"),
        ("finland", "ﬁnland"),
        ("ｶﾞ", "ガ"),
        ("ＡＢＣ", "abc"),
        ("北京", "北京市"),
        ("oconnor", "O'Connor"),
        ("new  york", " New\tYork City"),
        ("saint-denis", "Saint Denis".replace(" ", "-")),
        ("đ", "Đà Nẵng"),
        ("istanbul", "İstanbul"),
    ],
)
def test_a_start_is_found_without_case_accents_and_marks(asked: str, stored: str) -> None:
    for form in ("NFC", "NFD"):
        assert is_found(f"address-city={asked}", "Patient", city(unicodedata.normalize(form, stored)))


@pytest.mark.parametrize(("asked", "stored"), [("tle", "Seattle"), ("西", "北京"), ("seattles", "Seattle"), ("e", "Đ")])
def test_what_begins_otherwise_is_not_found(asked: str, stored: str) -> None:
    assert not is_found(f"address-city={asked}", "Patient", city(stored))


@given(st.text(max_size=50))
def test_folding_is_done_once_for_all(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert fold(unicodedata.normalize("NFD", text)) == fold(unicodedata.normalize("NFC", text))


CITIES = {
    "plain": city("Muller"),
    "umlaut": city("Müller"),
    "decomposed": city("Mu\u0308ller"),
    "lower": city("müller"),
}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("address-city=mull", "plain umlaut decomposed lower"),
        ("address-city:exact=Müller", "umlaut decomposed"),
        ("address-city:exact=Mu\u0308ller", "umlaut decomposed"),
        ("address-city:exact=muller", ""),
        ("address-city:exact=Mull", ""),
        ("address-city:contains=ÜLL", "plain umlaut decomposed lower"),
        ("address-city:contains=ullen", ""),
    ],
)
def test_modifiers(asked: str, expected: str) -> None:
    assert found(asked, "Patient", CITIES) == names(expected)


def test_a_long_text_is_found_by_its_tail_and_exactly() -> None:
    text = "x" * 1000 + " Tail-End"
    assert is_found("address-city:contains=tail end".replace(" ", ""), "Patient", city(text))
    assert is_found(f"address-city:exact={text}", "Patient", city(text))
    assert not is_found(f"address-city:exact={text[:-1]}", "Patient", city(text))


PERSON = {
    "name": [
        {"family": "Carreno Quinones", "given": ["José", "María"], "prefix": ["Dr."], "suffix": ["PhD"], "use": "old"},
        {"text": "张伟", "period": {"start": "2001"}},
    ],
    "address": [
        {
            "use": "home",
            "line": ["Main St 5", "Flat 2"],
            "district": "Ward",
            "postalCode": "8001",
            "text": "at home",
            "period": {"start": "2002"},
        }
    ],
}


@pytest.mark.parametrize(
    ("asked", "finds"),
    [
        ("name=carreno", True),
        ("name=quinones", True),
        ("name=jose", True),
        ("name=maria", True),
        ("name=dr", True),
        ("name=phd", True),
        ("name=张", True),
        ("name=old", False),
        ("name=2001", False),
        ("family=Quinones", True),
        ("family=jose", False),
        ("family:exact=Quinones", False),
        ("family:exact=Carreno Quinones", True),
        ("family:contains=quin", True),
        ("phonetic=carreno", True),
        ("given=mar", True),
        ("address=main", True),
        ("address=flat", True),
        ("address=ward", True),
        ("address=8001", True),
        ("address=at home", True),
        ("address=2002", False),
        ("address-use=home", True),
    ],
)
def test_parts_of_names_and_addresses_are_found_singly(asked: str, finds: bool) -> None:
    assert is_found(asked, "Patient", PERSON) is finds


@pytest.mark.parametrize("asked", ["family=---", "family:text=x", "family:above=x", f"family={'x' * 5000}"])
def test_what_cannot_be_read_is_refused(asked: str) -> None:
    with pytest.raises(Problem):
        is_found(asked, "Patient", {})


def test_a_text_of_marks_only_is_there_all_the_same() -> None:
    assert is_found("family:missing=false", "Patient", {"name": [{"family": "???"}]})
    assert is_found("family:exact=???", "Patient", {"name": [{"family": "???"}]})
    assert is_found("name:missing=true", "Patient", {"name": [{"_family": {"extension": [{"url": "x"}]}}]})


NOTE = {
    "text": {
        "status": "additional",
        "div": '<div xmlns="http://www.w3.org/1999/xhtml">Pneumothorax &amp; <b>Ödem</b></div>',
    },
    "conclusion": "Kein Erguss, 右肺正常",
    "code": {"text": "Thorax"},
    "presentedForm": [{"data": "QUJD", "title": "Bericht"}],
    "issued": "2020-01-02T03:04:05Z",
}


@pytest.mark.parametrize(
    ("asked", "finds"),
    [
        ("_text=pneumo", True),
        ("_text=odem pneumothorax", True),
        ("_text=thorax", False),
        ("_text=div", False),
        ("_text=w3", False),
        ("_content=thorax", True),
        ("_content=erguss odem", True),
        ("_content=guss", False),
        ("_content=肺", True),
        ("_content=bericht", True),
        ("_content=QUJD", False),
        ("_content=2020", False),
        ("_content=kein thorax", True),
        ("_content=kein fehlt", False),
    ],
)
def test_words_of_the_narrative_and_of_everything(asked: str, finds: bool) -> None:
    assert is_found(asked, "DiagnosticReport", NOTE) is finds


def test_words_can_be_left_out() -> None:
    keys = Indexer(REGISTRY, full_text=False).keys(resource("DiagnosticReport", NOTE), 0)
    assert not {"_text", "_content"} & set(keys)
