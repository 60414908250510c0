"""Every mandatory line of the SMART checks has a test of its name, or a reason why not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.running import ROOT

HERE = Path(__file__).parent
APP_STATE = "12"
"""The section on app state, which is not claimed."""

ELSEWHERE = {
    "D16": "needs a server of its own: tests/e2e/test_serving.py::test_d16_https_is_spoken_by_tls_1_2_and_newer",
    "F11": "needs a clock that moves: tests/server/oauth/test_refresh.py"
    "::test_f11_refreshing_has_an_absolute_end_no_sooner_than_three_months",
}
"""Lines that no test here can show, and the test that does."""

NOT_OURS = {
    "G-I12": "mandatory where capability URLs are used; none are: every URL of an image needs the token",
}

BESIDE = {
    "A12": "tests/server/oauth/test_token.py::test_a12_a_code_is_good_once_and_for_a_minute",
    "F09": "tests/server/oauth/test_refresh.py"
    "::test_f09_a_spent_refresh_token_is_answered_for_seconds_and_then_ends_all",
    "I06": "tests/e2e/test_sign_in.py::test_an_app_that_is_shut_out_is_so_at_once_in_every_process",
    "K05": "tests/e2e/test_sign_in.py::test_k05_an_assertion_is_good_once_in_every_process",
    "K09": "tests/server/smart/test_client_keys.py::test_k09_keys_are_kept_no_longer_than_their_cache_control",
    "L02": "tests/server/oauth/test_launch.py::test_l02_a_launch_is_used_once_soon_by_its_user_and_client",
    "L07": "tests/server/oauth/test_documents.py::test_l07_the_style_is_served_under_a_name_that_changes_with_it",
    "S02": "tests/server/smart/test_bearer.py::test_s02_what_is_kept_ends_with_its_time_and_with_any_change",
}
"""Lines of which a part needs a clock that moves, or several processes: the test that shows that part."""

_ROW = re.compile(r"\| ((?:G-)?[A-Z]\d\d) \|(.*)\|\s*$")


def rows(text: str) -> dict[str, str]:
    """Level by id."""
    found: dict[str, str] = {}
    section = ""
    for line in text.splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ").partition(".")[0]
        elif section != APP_STATE and (row := _ROW.match(line)):
            cells = [each.strip() for each in row[2].replace(r"\|", " ").split("|")]
            levels = [each for each in cells[1:] if re.match(r"[MSOX](\b|/)", each)]
            found[row[1]] = levels[0] if levels else ""
    return found


def named() -> set[str]:
    """Ids that tests of this package begin with."""
    sources = "\n".join(path.read_text() for path in HERE.glob("test_*.py"))
    found = re.findall(r"^def test_((?:g_)?[a-z]\d\d)_", sources, re.MULTILINE)
    return {each.upper().replace("_", "-") for each in found}


def test_every_mandatory_line_has_its_test(shared: Path) -> None:
    levels = rows((shared / "conformance/smart-checks.md").read_text())
    mandatory = {id for id, level in levels.items() if level.startswith("M")}
    others = set(levels) - mandatory
    assert "" not in levels.values(), [id for id, level in levels.items() if not level]
    tested = named()
    print(
        f"mandatory lines: {len(mandatory & tested)} tested here, {len(mandatory & set(ELSEWHERE))} elsewhere,"
        f" {len(mandatory & set(NOT_OURS))} do not apply, of {len(mandatory)};"
        f" other lines: {len(others & tested)} tested of {len(others)}"
    )
    assert mandatory - tested - set(ELSEWHERE) - set(NOT_OURS) == set()
    assert tested <= set(levels)


@pytest.mark.parametrize("place", [*ELSEWHERE.values(), *BESIDE.values()])
def test_what_is_shown_elsewhere_is_there(place: str) -> None:
    file, _, name = place.rpartition(": ")[2].partition("::")
    assert f"def {name}(" in (ROOT / file).read_text()
