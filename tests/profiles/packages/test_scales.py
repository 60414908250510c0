from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from profiles.packages.scales import SCALES, Scale
from tests.profiles.packages.checking import coded, error_rules, errors, observation, quantity


def scored(scale: Scale, scores: Mapping[str, int], total: int | None = None) -> dict[str, Any]:
    component = [
        {"code": coded(each.code, system=each.system), "valueQuantity": quantity(scores[each.name], "{score}")}
        for each in scale.items
        if each.name in scores
    ]
    value = quantity(sum(scores.values()) if total is None else total, "{score}")
    return observation("survey", scale.total.code, valueQuantity=value, component=component)


@pytest.mark.parametrize("scale", SCALES, ids=lambda each: each.id)
@pytest.mark.parametrize("place", [0, -1], ids=["lowest", "highest"])
def test_the_lowest_and_the_highest_scores_conform(scale: Scale, place: int) -> None:
    scores = {each.name: each.scores[place] for each in scale.items}
    assert errors(scored(scale, scores), scale.id) == []


@pytest.mark.parametrize("scale", SCALES, ids=lambda each: each.id)
def test_a_total_agrees_with_its_items(scale: Scale) -> None:
    scores = {each.name: each.scores[-1] for each in scale.items}
    key = "weft-" + scale.id.removeprefix("nursing-")
    assert f"{key}-sum" in error_rules(scored(scale, scores, sum(scores.values()) - 5), scale.id)


@pytest.mark.parametrize("scale", SCALES, ids=lambda each: each.id)
def test_a_total_without_all_items_stands_alone(scale: Scale) -> None:
    first = scale.items[0]
    total = int(scale.total.possible["{score}"].high)
    assert errors(scored(scale, {first.name: first.scores[0]}, total), scale.id) == []


@pytest.mark.parametrize("scale", SCALES, ids=lambda each: each.id)
def test_an_item_has_its_steps(scale: Scale) -> None:
    first = scale.items[0]
    total = int(scale.total.possible["{score}"].high)
    wrong = max(first.scores) + 1
    assert f"weft-{first.code}" in error_rules(scored(scale, {first.name: wrong}, total), scale.id)


@pytest.mark.parametrize("scale", SCALES, ids=lambda each: each.id)
def test_a_total_has_its_range(scale: Scale) -> None:
    key = "weft-" + scale.id.removeprefix("nursing-")
    assert f"{key}-possible" in error_rules(scored(scale, {}, 200), scale.id)


def test_a_tube_leaves_the_verbal_response_and_the_total_out() -> None:
    glasgow = SCALES[0]
    charted = scored(glasgow, {"eye": 4, "motor": 6})
    del charted["valueQuantity"]
    reason = coded("not-applicable", system="http://terminology.hl7.org/CodeSystem/data-absent-reason")
    charted["component"].append({"code": coded("9270-0"), "dataAbsentReason": reason})
    assert errors(charted, glasgow.id) == []
