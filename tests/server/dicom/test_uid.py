"""UIDs: what may be one, and new ones."""

from __future__ import annotations

import pytest

from server.dicom.uid import is_uid, new_uid


@pytest.mark.parametrize("text", ["1", "1.2.840.10008.1.2", "2.25.0", "1.02.003", "1." * 31 + "12"])
def test_digits_in_components_are_a_uid(text: str) -> None:
    assert is_uid(text)


@pytest.mark.parametrize(
    "text", ["", ".", "1.", ".1", "1..2", "1.2a", "1.2 ", "1.2\n", "１.2", "1." * 32 + "1", "../x"]
)
def test_anything_else_is_not(text: str) -> None:
    assert not is_uid(text)


def test_new_uids_are_valid_and_differ() -> None:
    uids = {new_uid() for _ in range(100)}

    assert len(uids) == 100
    assert all(is_uid(uid) for uid in uids)
