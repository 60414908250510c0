"""Consents as DICOMweb feels them: the cases of the decision table, through every route."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from server.kernel.context import Actor, Context, Grant
from tests.contract.imaging_cases import (
    CT,
    DR_A,
    PATIENTS,
    UNDATED,
    US,
    Cases,
    all_are,
    opened_cases,
    series_of,
    statuses,
    study,
)
from tests.contract.imaging_samples import IMAGES, STOW, image, person, server, stow_body


@pytest.fixture(scope="module", params=["sqlite", "mongodb"])
def cases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cases]:
    with opened_cases(request, tmp_path_factory) as cases:
        yield cases


def test_case_41_a_search_finds_what_the_consent_covers_and_counts_no_more(cases: Cases) -> None:
    s_ct, undated = study("p41", CT), study("p41", UNDATED)
    assert cases.found(DR_A, "p41") == sorted([s_ct, undated])
    page = cases.run(cases.world.get(DR_A, "/studies", {"PatientID": "P41", "limit": "1"}))
    assert (len(page.json()), page.headers["x-total-count"]) == (1, "2")
    assert cases.found(DR_A, "p41", ModalitiesInStudy="US") == []
    assert cases.found(DR_A, "p41", StudyInstanceUID=study("p41", US)) == []
    assert study("p41", US) not in cases.found(DR_A, "p41", "/series")
    assert study("p41", US) not in cases.found(DR_A, "p41", "/instances")


def test_case_42_a_known_uid_opens_nothing_on_any_route(cases: Cases) -> None:
    assert all_are(cases.statuses(DR_A, "p41", US), 404)
    assert not cases.is_read(DR_A, "p41", US)
    assert all_are(cases.statuses(DR_A, "p41", CT), 200, 406)


def test_case_43_a_study_denied_by_its_id_is_on_no_route(cases: Cases) -> None:
    assert all_are(cases.statuses(DR_A, "p43", CT), 404)
    assert not cases.is_read(DR_A, "p43", CT)
    assert study("p43", CT) not in cases.found(DR_A, "p43")
    assert cases.is_read(DR_A, "p43", US)


def test_case_44_a_study_with_a_barred_series_is_not_given_out_as_a_whole(cases: Cases) -> None:
    allowed, barred = cases.statuses(DR_A, "p44", CT, 1), cases.statuses(DR_A, "p44", CT, 2)
    whole = {name for name, (path, _) in cases.paths("p44", CT).items() if path != "/wado" and "/series/" not in path}
    assert len(whole) == 6
    assert {name for name, status in allowed.items() if status == 403} == whole
    assert all_are({name: status for name, status in allowed.items() if name not in whole}, 200)
    assert all_are({name: status for name, status in barred.items() if name not in whole}, 404)


def test_case_44_a_search_tells_of_the_other_series_only(cases: Cases) -> None:
    uid = study("p44", CT)
    [row] = cases.run(cases.world.get(DR_A, "/studies", {"StudyInstanceUID": uid, "includefield": "all"})).json()
    assert (row["00201206"]["Value"], row["00201208"]["Value"]) == ([1], [1])
    assert row["00080061"]["Value"] == ["CT"]
    assert cases.found(DR_A, "p44", ModalitiesInStudy="MR") == []
    for path in (f"/studies/{uid}/series", "/series"):
        got = cases.run(cases.world.get(DR_A, path, {"StudyInstanceUID": uid, "includefield": "00201206"}))
        assert got.values("0020000E") == [series_of("p44", CT, 1)]
        assert got.values("00201206") == [1]
    instances = cases.run(cases.world.get(DR_A, f"/studies/{uid}/instances"))
    assert instances.values("0020000E") == [series_of("p44", CT, 1)]
    [whole] = cases.run(cases.world.get(server(), "/studies", {"StudyInstanceUID": uid})).json()
    assert whole["00201206"]["Value"] == [2]


def test_case_45_only_studies_of_the_period_and_none_without_a_date(cases: Cases) -> None:
    assert cases.found(DR_A, "p45") == [study("p45", CT)]
    assert all_are(cases.statuses(DR_A, "p45", US), 404)
    assert all_are(cases.statuses(DR_A, "p45", UNDATED), 404)
    assert all_are(cases.statuses(DR_A, "p45", CT), 200, 406)


def test_case_46_storing_is_no_disclosure(cases: Cases) -> None:
    grants = (Grant(frozenset({"create", "read", "search"}), IMAGES),)
    device = Context(
        Actor("org-x", "org-x", grants, frozenset({"system"}), client="org-x", fhir_user="Device/org-x"), "test"
    )
    uid, new = study("p46", CT), f"{series_of('p46', CT)}.9"
    body = stow_body(image("P46", uid, series_of("p46", CT), 9))
    got = cases.run(cases.world.ask(device, "POST", "/studies", body=body, content_type=STOW))
    assert got.status == 200
    [stored] = got.json()["00081199"]["Value"]
    assert stored["00081155"]["Value"] == [new]
    assert got.body.count(b"00081155") == 1
    assert all_are(cases.statuses(device, "p46", CT), 404)
    assert cases.found(device, "p46") == []
    assert cases.found(DR_A, "p46") != []


def test_case_47_what_is_denied_to_a_proxy_is_not_found_by_the_proxy(cases: Cases) -> None:
    parent = person("p47", role="proxy", name="RelatedPerson/parent")
    assert cases.found(parent, "p47") == sorted([study("p47", CT), study("p47", UNDATED)])
    assert all_are(cases.statuses(parent, "p47", US), 404)
    assert all_are(cases.statuses(person("p47"), "p47", US), 200, 406)
    assert cases.found(person("p47"), "p47") == sorted(study("p47", each) for each in (CT, US, UNDATED))


@pytest.mark.parametrize("who", [DR_A, person("p41"), person("p47", role="proxy", name="RelatedPerson/parent")])
def test_no_route_shows_what_fhir_would_refuse(cases: Cases, who: Context) -> None:
    """Every route in SQLite; in the other store, which asks the same predicates, one of each kind."""
    few = {"wado.instance", "wado.study.metadata", "wado.frames", "wado.uri"}
    for each in PATIENTS:
        for which in (CT, US, UNDATED):
            paths = cases.paths(each, which)
            found = cases.run(statuses(cases.world, who, paths if cases.is_sqlite else {n: paths[n] for n in few}))
            if not cases.is_read(who, each, which):
                assert all_are(found, 404), (each, which)
            else:
                assert found["wado.instance"] == 200
