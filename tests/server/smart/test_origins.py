"""Origins of registered apps, as browsers say them."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from server.smart.model import Client
from server.smart.origins import ClientOrigins, origin_of, origins
from tests.server.smart.keeping import Kept, keeping

APP = Client(
    "app", "App", "none", (), ("https://app.example:443/back", "http://localhost:8000/"), "https://ehr.example/go"
)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://App.Example/back?x=1", "https://app.example"),
        ("https://app.example:8443/", "https://app.example:8443"),
        ("http://127.0.0.1:3000/cb", "http://127.0.0.1:3000"),
        ("http://localhost:80/", "http://localhost"),
        ("app.native:/callback", ""),
        ("", ""),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: str) -> None:
    assert origin_of(url) == origin


def test_origins_are_those_of_apps_that_were_let_in() -> None:
    waiting = replace(APP, id="waiting", redirects=("https://waiting.example/",), launch_url="", is_approved=False)
    assert origins([APP, waiting]) == {"https://app.example", "http://localhost:8000", "https://ehr.example"}


def test_a_new_app_is_known_within_a_second(tmp_path: Path) -> None:
    async def work(kept: Kept) -> list[bool]:
        known = ClientOrigins(kept.store, kept.clock)
        found = [await known.is_registered("https://app.example")]
        await kept.store.save(APP)
        kept.clock.move(seconds=1)
        found.append(await known.is_registered("https://app.example"))
        await kept.store.save(replace(APP, is_approved=False))
        kept.clock.move(seconds=1)
        return [*found, await known.is_registered("https://app.example")]

    assert keeping(tmp_path, work) == [False, True, False]
