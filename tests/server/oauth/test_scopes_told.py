"""Scopes as people read them, and what a filled-in form leaves of them."""

from __future__ import annotations

import pytest

from profiles.definitions import definitions
from server.oauth.scopes_told import chosen, summary, told
from server.oauth.words import LANGUAGES, say_in
from server.smart.scopes import is_subset, parse_scopes

ENGLISH, CHINESE = say_in("en"), say_in("zh")
VITAL = "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|vital-signs"


@pytest.mark.parametrize(
    ("scope", "english", "chinese"),
    [
        ("patient/Observation.rs", "See measurements and findings of this patient", "查看此患者的测量与观察结果"),
        ("patient/Observation.read", "See measurements and findings of this patient", "查看此患者的测量与观察结果"),
        ("user/*.cruds", "See, add, change and delete everything in the records of all patients you may see",
         "查看、新增、修改和删除您有权查看的所有患者的全部资料"),
        ("user/Appointment.c", "Add appointments of all patients you may see", "新增您有权查看的所有患者的预约"),
        ("user/Location.rs", "See wards and rooms", "查看病区与房间"),
        ("patient/ChargeItem.r", "See ChargeItem of this patient", "查看此患者的ChargeItem"),
        ("openid", "Sign you in to the app", "使用您的身份登录该应用"),
    ],
)  # fmt: skip
def test_a_right_in_one_sentence(scope: str, english: str, chinese: str) -> None:
    assert summary([scope], ENGLISH) == (english,)
    assert summary([scope], CHINESE) == (chinese,)


def test_criteria_are_told() -> None:
    (right,) = told([VITAL], ENGLISH).records
    assert (right.detail, right.parts) == ("only vital signs", ())
    scope = "patient/Condition.r?code=http://snomed.info/sct|22298006&category=x|encounter-diagnosis,x|health-concern"
    (right,) = told([scope], CHINESE).records
    assert right.detail == "仅限就诊诊断、健康关注; 项目：22298006"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_type_can_be_told(language: str) -> None:
    for resource_type in definitions().resource_types:
        (right,) = told([f"patient/{resource_type}.cruds"], say_in(language)).records
        assert right.words


def test_groups_of_what_is_asked() -> None:
    asked = "launch/patient launch openid fhirUser offline_access patient/Patient.rs nonsense"
    found = told(asked.split(), ENGLISH)
    assert [each.scope for each in found.records] == ["patient/Patient.rs"]
    assert [each.scope for each in found.others] == ["openid", "fhirUser"]
    assert [each.scope for each in found.lasting] == ["offline_access"]
    assert len(found.contexts) == 2


def test_rights_stand_under_whose_records_they_are_about() -> None:
    found = told(["user/Location.rs", "user/Task.cu", "patient/Observation.rs", "patient/Patient.rs"], ENGLISH)
    assert [(whose, [each.short for each in rights]) for whose, rights in found.by_whose] == [
        ("patient", ["See measurements and findings", "See name and personal details"]),
        ("user", ["Add and change tasks"]),
        ("nobody", ["See wards and rooms"]),
    ]
    assert [each.scope for each in found.records if each.changes] == ["user/Task.cu"]


@pytest.mark.parametrize("scope", ["patient/Observation.rs", "patient/Condition.cruds", "user/Observation.read"])
def test_every_part_is_contained_in_its_whole(scope: str) -> None:
    (right,) = told([scope], ENGLISH).records
    assert len(right.parts) >= 3
    for part, words in right.parts:
        assert words
        assert is_subset(parse_scopes(part), parse_scopes(scope))


@pytest.mark.parametrize(
    ("ticked", "left"),
    [
        ((), ()),
        (("launch/patient",), ()),
        (("patient/Patient.rs",), ("launch/patient", "patient/Patient.rs")),
        (("patient/Observation.rs", VITAL), ("launch/patient", VITAL)),
        ((VITAL,), ("launch/patient", VITAL)),
        (("patient/*.cruds", "user/Patient.rs", "openid"), ("launch/patient", "openid")),
    ],
)
def test_what_a_form_leaves(ticked: tuple[str, ...], left: tuple[str, ...]) -> None:
    asked = ("launch/patient", "openid", "patient/Patient.rs", "patient/Observation.rs")
    assert chosen(asked, ticked) == left


def test_a_request_of_context_alone_can_be_given() -> None:
    assert chosen(("launch/patient",), ()) == ("launch/patient",)
