"""`weft code`: which codes may be registered with, as administrators list them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from server.commands import code
from server.commands.over_services import opened
from server.settings import Settings
from server.xds.code_sets import CodeSets, keep_code_sets, load_code_sets
from storage.ports import Records
from tests.server.commands.administering import refused, told

LOINC = "2.16.840.1.113883.6.1"
CODES = f"""<?xml version="1.0"?><Codes><CodeType name="typeCode" classScheme="urn:uuid:f0306f51-975f-434e-a61c">
<Code code="18748-4" display="Report" codingScheme="{LOINC}"/><Code code="11490-0" codingScheme="{LOINC}"/></CodeType>
<CodeType name="mimeType"><Code code="application/dicom" ext="dcm"/></CodeType>
<CodeType name="folderCodeList"><Code code="A" codingScheme="1.2.3"/></CodeType>
<CodeType name="countryCode"><Code code="CN" codingScheme="1.0.3166"/></CodeType></Codes>"""
INCLUDE = {"system": "http://loinc.org", "concept": [{"code": "11490-0"}]}
VALUE_SET = {"resourceType": "ValueSet", "compose": {"include": [INCLUDE]}}


def allowed(data: Path, attribute: str) -> set[str] | None:
    """By the registry of a server that starts now."""

    async def asked() -> set[str] | None:
        async with opened(Settings(data=data)) as services:
            found = services.documents.registry.codes.by_attribute.get(attribute)
            return None if found is None else set(found)

    return asyncio.run(asked())


def test_codes_are_listed_one_by_one(tmp_path: Path) -> None:
    assert "any code is allowed" in told(tmp_path, "code", "list")
    assert "1 listed, no others" in told(tmp_path, "code", "add", "typeCode", "18748-4", LOINC)
    told(tmp_path, "code", "add", "mimeType", "application/dicom")
    assert told(tmp_path, "code", "list", "typeCode").split()[3:] == ["typeCode", "18748-4", LOINC]
    assert allowed(tmp_path, "typeCode") == {f"18748-4^^{LOINC}"}
    assert "any code" in told(tmp_path, "code", "remove", "typeCode", "18748-4", f"urn:oid:{LOINC}")
    assert told(tmp_path, "code", "list").split()[3:] == ["mimeType", "application/dicom"]


def test_files_list_codes_anew(tmp_path: Path) -> None:
    (tmp_path / "codes.xml").write_text(CODES)
    told(tmp_path, "code", "add", "typeCode", "old", "1.2")
    text = told(tmp_path, "code", "import", str(tmp_path / "codes.xml"))
    assert text.splitlines()[:3] == [
        f"{name}: {count} listed, no others" for name, count in (("codeList", 1), ("mimeType", 1), ("typeCode", 2))
    ]
    assert "old" not in told(tmp_path, "code", "list")
    (tmp_path / "set.json").write_text(json.dumps(VALUE_SET))
    text = told(tmp_path, "code", "import", str(tmp_path / "set.json"), "--attribute", "typeCode")
    assert text.splitlines()[:-1] == ["typeCode: 1 listed, no others"]
    assert told(tmp_path, "code", "list", "typeCode").split()[3:] == ["typeCode", "11490-0", LOINC]


def test_what_names_nothing_opens_nothing(tmp_path: Path) -> None:
    """A variable that was not set must not take away all codes."""
    told(tmp_path, "code", "add", "typeCode", "18748-4", "http://loinc.org")
    assert "empty" in refused(tmp_path, "code", "remove", "typeCode", "")
    assert "one of" in refused(tmp_path, "code", "remove", "typecode")
    assert "one of" in refused(tmp_path, "code", "list", "typecode")
    assert allowed(tmp_path, "typeCode") == {f"18748-4^^{LOINC}"}
    assert "any code" in told(tmp_path, "code", "remove", "typeCode")
    assert allowed(tmp_path, "typeCode") is None


def test_no_change_is_lost_to_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both read what there is; the second to write is told."""

    async def loaded(records: Records) -> CodeSets:
        found = await load_code_sets(records)
        await keep_code_sets(records, {"typeCode": {"other^^1.2"}})
        return found

    monkeypatch.setattr(code, "load_code_sets", loaded)
    assert "try again" in refused(tmp_path, "code", "add", "typeCode", "18748-4", LOINC)
    assert allowed(tmp_path, "typeCode") == {"other^^1.2"}


MISTAKES = {
    "one of classCode": ("add", "countryCode", "CN", "1.0.3166"),
    "with its coding scheme": ("add", "typeCode", "18748-4"),
    "stands alone": ("add", "mimeType", "text/plain", "1.2.3"),
    "no code listed": ("remove", "typeCode", "18748-4", LOINC),
    "not well-formed": ("import", "<"),
    "no CodeType": ("import", "<Codes/>"),
    "one by one": ("import", json.dumps(VALUE_SET | {"compose": {"include": [{"system": "x"}]}})),
    "the code is empty": ("add", "typeCode", " ", LOINC),
    "which --attribute names": ("import", ' {"resourceType":"X"}'),
    "no ValueSet": ("import", json.dumps({"resourceType": "Patient"})),
}


@pytest.mark.parametrize("said", MISTAKES)
def test_mistakes_are_told(tmp_path: Path, said: str) -> None:
    act, *more = MISTAKES[said]
    if act == "import":
        (tmp_path / "file").write_text(more[0])
        more = [str(tmp_path / "file"), *(["--attribute", "typeCode"] if "Set" in more[0] or "P" in more[0] else [])]
    assert said in refused(tmp_path, "code", act, *more)
