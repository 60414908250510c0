from __future__ import annotations

import asyncio

import pytest

from server.assembly import open_services
from server.audit.acts import ELSEWHERE, UNRECORDED, pattern_of
from server.audit.codes import SUBTYPES, TYPES
from server.http.surface import Endpoint
from server.settings import Settings


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Endpoint]:
    """Those of every surface that asks at the door."""

    async def run() -> list[Endpoint]:
        services = await open_services(Settings(data=tmp_path_factory.mktemp("rows")))
        try:
            return [*services.dicomweb().endpoints(), *services.fhir_rest().endpoints()]
        finally:
            await services.close()

    return asyncio.run(run())


def test_every_endpoint_has_its_pattern(rows: list[Endpoint]) -> None:
    recorded = [each for each in rows if each.interaction not in ELSEWHERE and each.name not in UNRECORDED]
    assert len(recorded) > 80
    for each in recorded:
        pattern = pattern_of(each.name)
        assert pattern is not None, each.name
        assert pattern.code in TYPES, each.name
        assert pattern.subtype in SUBTYPES, each.name


def test_what_changes_something_is_told_as_a_change(rows: list[Endpoint]) -> None:
    changing = {"create": "C", "update": "U", "delete": "D"}
    for each in rows:
        pattern = pattern_of(each.name) if each.interaction not in ELSEWHERE else None
        if each.interaction in changing and each.name != "transaction" and pattern is not None:
            assert pattern.action == changing[each.interaction], each.name


def test_an_endpoint_without_a_row_is_a_fault_of_ours() -> None:
    with pytest.raises(KeyError):
        pattern_of("something.new")
