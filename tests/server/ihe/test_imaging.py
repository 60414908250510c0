"""RAD-69 and RAD-75 over SOAP: what is sent as it lies, what is recoded, and what every wrong request is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from conformance.kit.samples import JPEG_LS_LOSSLESS, RLE_LOSSLESS
from server.archive.frame_coder import FrameCoder
from server.archive.recode import Recoder
from server.dicom.part10 import scan
from server.ihe.imaging import ImagingSource
from server.ihe.imaging_request import ImageRequest
from server.ihe.imaging_staging import Staging
from server.kernel.offload import Offload
from server.kernel.problem import Problem
from server.kernel.streams import close
from server.soap.message import Attachment
from storage.filesystem.blobs import FolderBlobs
from storage.ports import BlobRef, Bytes
from storage.sqlite.records import SqliteRecords
from tests.contract.imaging_world import SERVER_CONTEXT
from tests.contract.manifest_world import COMMUNITY, EXPLICIT_LITTLE, RAD_69, ManifestWorld, request_body
from tests.data.small_files import instance_file
from tests.data.soap_messages import Answered, ask, envelope

T = TypeVar("T")
JPEG_BASELINE, IMPLICIT = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2"
SOURCE = COMMUNITY.imaging_source
FILES = {f"1.2.3.1.{number}": instance_file(uid=f"1.2.3.1.{number}", pixels=bytes(range(32))) for number in (1, 2, 3)}
ONE, TWO, THREE = (ImageRequest("1.2.3", "1.2.3.1", uid, SOURCE) for uid in FILES)


class Opened:
    def __init__(self, folder: Path, runner: asyncio.Runner) -> None:
        self.offload = Offload()
        self.folder = folder
        self.runner = runner
        self.world = ManifestWorld(SqliteRecords(folder / "weft.sqlite", self.offload), folder, self.offload)
        self.run(self.world.prepare())
        self.run(self.world.store(*FILES.values()))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def fetch(self, *asked: ImageRequest, syntaxes: tuple[str, ...] = (), is_gateway: bool = False) -> Answered:
        return self.run(self.world.fetch(SERVER_CONTEXT, asked, *syntaxes, is_gateway=is_gateway))

    def blobs(self) -> set[str]:
        async def names() -> set[str]:
            return {each async for each in self.world.blobs.list()}

        return self.run(names())


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    with asyncio.Runner() as runner:
        opened = Opened(tmp_path_factory.mktemp("images"), runner)
        yield opened
        opened.run(opened.world.records.close())
        opened.offload.close()


def test_images_come_as_they_were_stored_in_the_order_asked(opened: Opened) -> None:
    answer = opened.fetch(THREE, ONE, TWO, ONE)
    assert (answer.http, answer.status) == (200, "Success")
    assert list(answer.documents) == ["1.2.3.1.3", "1.2.3.1.1", "1.2.3.1.2"]
    assert answer.documents == FILES
    types = {each.text for each in answer.body.iter("{*}mimeType")}
    assert types == {"application/dicom"}
    assert next(answer.body.iter("{*}HomeCommunityId"), None) is None


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (replace(ONE, repository="1.1"), "XDSUnknownRepositoryId"),
        (replace(ONE, sop_instance_uid="1.2.3.1.9"), "XDSDocumentUniqueIdError"),
        (replace(ONE, series_instance_uid="1.2.3.2"), "XDSDocumentUniqueIdError"),
        (replace(ONE, study_instance_uid="1.2.4"), "XDSDocumentUniqueIdError"),
    ],
)
def test_what_is_not_where_it_is_asked_for_is_told_and_the_rest_sent(
    opened: Opened, asked: ImageRequest, code: str
) -> None:
    alone = opened.fetch(asked)
    assert (alone.http, alone.status, alone.errors) == (200, "Failure", [code])
    beside = opened.fetch(asked, TWO)
    assert (beside.status, beside.errors, list(beside.documents)) == ("PartialSuccess", [code], ["1.2.3.1.2"])


def test_a_request_nobody_could_answer_fails_as_a_whole(opened: Opened) -> None:
    answer = opened.fetch(ONE, replace(TWO, series_instance_uid=""))
    assert (answer.status, answer.errors) == ("Failure", ["XDSIRequestError"])


def test_recoded_images_lose_nothing_and_leave_nothing_behind(opened: Opened) -> None:
    before = opened.blobs()
    answer = opened.fetch(ONE, TWO, syntaxes=(JPEG_BASELINE, RLE_LOSSLESS, JPEG_LS_LOSSLESS))
    assert answer.status == "Success"
    for uid, content in answer.documents.items():
        assert (scan(content).sop_instance_uid, scan(content).transfer_syntax_uid) == (uid, JPEG_LS_LOSSLESS)
    assert opened.blobs() == before


@pytest.mark.parametrize("syntax", [JPEG_BASELINE, IMPLICIT, "1.2.840.10008.1.2.1.999"])
def test_what_cannot_be_had_without_loss_is_told(opened: Opened, syntax: str) -> None:
    answer = opened.fetch(ONE, syntaxes=(syntax,))
    assert (answer.status, answer.errors) == ("Failure", ["XDSRepositoryError"])


def test_a_gateway_insists_on_its_community(opened: Opened) -> None:
    own = replace(ONE, home=COMMUNITY.home)
    answer = opened.fetch(own, is_gateway=True)
    assert answer.status == "Success"
    assert [each.text for each in answer.body.iter("{*}HomeCommunityId")] == [COMMUNITY.home]
    wrong = [ONE, replace(ONE, home="urn:oid:1.9"), replace(own, repository="1.1")]
    answer = opened.fetch(*wrong, replace(own, sop_instance_uid="1.5"), is_gateway=True)
    assert answer.errors == [
        "XDSMissingHomeCommunityId", "XDSUnknownCommunity", "XDSIUnknownIdsUid", "XDSDocumentUniqueIdError",
    ]  # fmt: skip
    echoed = opened.fetch(replace(ONE, home="urn:oid:1.9"))
    assert [each.text for each in echoed.body.iter("{*}HomeCommunityId")] == ["urn:oid:1.9"]


def test_a_request_that_is_no_mtom_is_answered_in_kind(opened: Opened) -> None:
    message = envelope(RAD_69, request_body([ONE], (EXPLICIT_LITTLE,)))
    opened.world.door.context = SERVER_CONTEXT
    status, headers, content = opened.run(
        ask(opened.world.soap, "/xds/imaging", message, "application/soap+xml; charset=UTF-8")
    )
    assert status == 200
    assert headers["content-type"].startswith("application/soap+xml")
    assert len(content) == int(headers["content-length"])


def test_more_than_there_is_room_for_is_not_put_aside(opened: Opened) -> None:
    before = opened.blobs()
    staging = Staging(opened.world.blobs, _recoder(opened), room=1500)
    source = ImagingSource(opened.world.retriever, staging, SOURCE, COMMUNITY.home)

    async def body() -> list[str]:
        found = await source.images(SERVER_CONTEXT, [ONE, TWO, THREE], [JPEG_LS_LOSSLESS])
        for each in found.documents:
            await close(each.open())
        return [str(each.code) for each in found.errors]

    errors = opened.run(body())
    assert errors
    assert set(errors) == {"XDSRepositoryOutOfResources"}
    assert opened.blobs() == before


def test_an_answer_that_is_given_up_leaves_nothing_behind(opened: Opened) -> None:
    before = opened.blobs()
    listed = opened.run(opened.world.retriever.named(SERVER_CONTEXT, "1.2.3", list(FILES)))

    async def given_up() -> None:
        staging = Staging(opened.world.blobs, _recoder(opened))
        made = await staging.attached(listed, [RLE_LOSSLESS])
        assert all(isinstance(each, Attachment) for each in made)
        for each in made:
            assert not isinstance(each, Problem)
            await close(each.content)

    async def cancelled() -> None:
        blobs = _Stalling(opened.folder / "blobs", opened.offload)
        task = asyncio.create_task(Staging(blobs, _recoder(opened)).attached(listed, [RLE_LOSSLESS]))
        await blobs.stalled.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    opened.run(given_up())
    assert opened.blobs() == before
    opened.run(cancelled())
    assert opened.blobs() == before


def _recoder(opened: Opened) -> Recoder:
    return Recoder(FrameCoder(opened.world.retriever))


class _Stalling(FolderBlobs):
    """Takes one blob, and the next one for ever."""

    def __init__(self, root: Path, offload: Offload) -> None:
        super().__init__(root, offload)
        self.stalled = asyncio.Event()
        self._has_taken = False

    async def put(self, chunks: AsyncIterator[Bytes]) -> BlobRef:
        if self._has_taken:
            self.stalled.set()
            await asyncio.Event().wait()
        self._has_taken = True
        return await super().put(chunks)
