"""Retrieve Metadata: JSON and XML at every level, validators, and answers kept ready."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from server.dicomweb import metadata
from tests.server.archive.opened import CONTEXT
from tests.server.dicomweb import samples
from tests.server.dicomweb.served import BASE, Served, served

STUDY, SERIES = f"/studies/{samples.STUDY}", f"/studies/{samples.STUDY}/series/{samples.SERIES}"
ONE = samples.INSTANCE_PATH + "1.2.3.1.1"
XML = 'multipart/related; type="application/dicom+xml"'
JSON = "application/dicom+json"


def run(folder: Path, files: list[bytes], check: Callable[[Served], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        async with served(folder, *files, **options) as server:
            await check(server)

    asyncio.run(main())


def three() -> list[bytes]:
    return [samples.written(samples.image(f"1.2.3.1.{number}", number=number)) for number in (1, 2, 3)]


@pytest.mark.parametrize("cache", [1 << 20, 0])
def test_json_is_one_array_in_order_at_every_level(tmp_path: Path, cache: int) -> None:
    async def check(server: Served) -> None:
        for path, count in ((STUDY, 3), (SERIES, 3), (ONE, 1)):
            for _ in range(2):
                got = await server.get(path + "/metadata", JSON)
                assert got.headers["content-type"] == JSON
                found = json.loads(got.body)
                assert [each["00200013"]["Value"][0] for each in found] == list(range(1, count + 1))
                assert found[0]["00100010"]["Value"] == [{"Alphabetic": "Wang^Wei", "Ideographic": "王^伟"}]
                assert found[0]["00083002"]["Value"] == ["1.2.840.10008.1.2.1"]
                assert found[0]["7FE00010"]["BulkDataURI"] == f"{BASE}{ONE}/bulkdata/7FE00010"
                assert not [tag for tag in found[0] if tag.startswith("0002")]

    run(tmp_path, three(), check, cache=cache)


def test_uris_have_the_base_the_client_used_also_when_the_answer_was_ready(tmp_path: Path) -> None:
    async def check(server: Served) -> None:
        for host in ("a.example", "b.example", "a.example"):
            got = await server.get(STUDY + "/metadata", host=host)
            found = json.loads(got.body)
            assert found[0]["7FE00010"]["BulkDataURI"].startswith(f"http://{host}/dicomweb/studies/")

    run(tmp_path, three(), check)


def test_an_array_too_long_to_hold_is_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "_HELD", 10)
    monkeypatch.setattr(metadata, "_PAGE", 1)

    async def check(server: Served) -> None:
        got = await server.get(STUDY + "/metadata", JSON)
        assert "content-length" not in got.headers
        assert [each["00080018"]["Value"][0] for each in json.loads(got.body)] == [
            "1.2.3.1.1",
            "1.2.3.1.2",
            "1.2.3.1.3",
        ]
        assert not server.answers.held

    run(tmp_path, three(), check)


def test_what_is_kept_ready_follows_every_change(tmp_path: Path) -> None:
    first, second, third = three()

    async def check(server: Served) -> None:
        before = await server.get(SERIES + "/metadata", JSON)
        assert len(json.loads(before.body)) == 2
        assert server.answers.held > len(before.body)
        await server.archive.send(third)
        after = await server.get(SERIES + "/metadata", JSON, if_none_match=before.headers["etag"])
        assert after.status == 200
        assert len(json.loads(after.body)) == 3
        await server.archive.remover.remove(CONTEXT, "1.2.3", "1.2.3.1", "1.2.3.1.1")
        last = await server.get(SERIES + "/metadata", JSON, if_none_match=after.headers["etag"])
        assert [each["00080018"]["Value"][0] for each in json.loads(last.body)] == ["1.2.3.1.2", "1.2.3.1.3"]

    run(tmp_path, [first, second], check)


@pytest.mark.parametrize("path", [STUDY, SERIES, ONE])
@pytest.mark.parametrize("accept", [JSON, XML, "application/json"])
def test_a_client_that_has_it_is_not_sent_it_again(tmp_path: Path, path: str, accept: str) -> None:
    async def check(server: Served) -> None:
        first = await server.get(path + "/metadata", accept)
        for _ in range(2):
            again = await server.get(path + "/metadata", accept, if_none_match=first.headers["etag"])
            assert (again.status, again.body) == (304, b"")
        other = await server.get(path + "/metadata", "application/zip", if_none_match=first.headers["etag"])
        assert other.status == 200

    run(tmp_path, three(), check)


def test_xml_is_one_document_for_each_instance(tmp_path: Path) -> None:
    async def check(server: Served) -> None:
        for path, count in ((STUDY, 3), (SERIES, 3), (ONE, 1)):
            parts = (await server.get(path + "/metadata", XML)).parts()
            assert len(parts) == count
            for part in parts:
                assert part.media_type == "application/dicom+xml"
                root = etree.fromstring(part.body)
                assert etree.QName(root).localname == "NativeDicomModel"
                bulk = root.find(".//{*}DicomAttribute[@tag='7FE00010']/{*}BulkData")
                assert bulk is not None
                assert bulk.get("uri", "").startswith(BASE)

    run(tmp_path, three(), check)


def test_in_a_zip_the_array_stays_one_array(tmp_path: Path) -> None:
    async def check(server: Served) -> None:
        for path, count in ((STUDY, 3), (ONE, 1)):
            got = await server.get(path + "/metadata", "application/zip")
            with zipfile.ZipFile(io.BytesIO(got.body)) as archive:
                assert len(json.loads(archive.read("metadata.json"))) == count

    run(tmp_path, three(), check)


@pytest.mark.parametrize(
    "query", ["accept=application/dicom%2Bjson", "accept=application/dicom+json", "accept=application/dicom%2Bjson&x=y"]
)
def test_the_query_may_say_what_is_accepted(tmp_path: Path, query: str) -> None:
    async def check(server: Served) -> None:
        got = await server.get(STUDY + "/metadata", "text/html", query=query)
        assert got.headers["content-type"] == JSON
        xml = await server.get(
            STUDY + "/metadata", "*/*", query=f"accept={XML}".replace("+", "%2B").replace(" ", "%20")
        )
        assert len(xml.parts()) == 3

    run(tmp_path, three(), check)


def test_a_ready_answer_costs_one_look_at_the_study(tmp_path: Path) -> None:
    async def check(server: Served) -> None:
        await server.get(SERIES + "/metadata", JSON)

        async def refused(*_: Any, **__: Any) -> Any:
            raise AssertionError("a ready answer must not search")

        server.archive.records.instead["find"] = refused
        assert (await server.get(SERIES + "/metadata", JSON)).status == 200

    run(tmp_path, three(), check)
