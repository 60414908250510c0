"""What an import finds: files, folders, ZIP archives and media directories; and what it will not touch."""

from __future__ import annotations

import os
import warnings
import zipfile
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage

from server.importing import sources
from server.importing.sources import FileSource, Found, MemberSource, Refused, Unreadable
from server.importing.walk import count, find


def labels(paths: list[Path], root: Path) -> list[str]:
    return [os.path.relpath(each.label, root) for each in find(paths)]


def content(source: Found) -> bytes:
    assert not isinstance(source, Refused)
    return b"".join(source.chunks(7))


def directory(folder: Path, *file_ids: list[str]) -> Path:
    """A DICOMDIR with one image record for each File ID."""
    records = []
    for file_id in file_ids:
        record = Dataset()
        record.DirectoryRecordType = "IMAGE"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            record.ReferencedFileID = file_id
        records.append(record)
    dataset = Dataset()
    dataset.DirectoryRecordSequence = Sequence(records)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "2.25.1"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / "DICOMDIR"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def test_folders_are_walked_in_order_and_their_directory_files_passed_over(tmp_path: Path) -> None:
    for each in ("b/2.dcm", "b/1.dcm", "a.dcm", "b/c/3", "DICOMDIR"):
        (tmp_path / each).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / each).write_bytes(b"x")
    assert labels([tmp_path], tmp_path) == ["a.dcm", "b/1.dcm", "b/2.dcm", "b/c/3"]


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/loop").symlink_to(tmp_path)
    (tmp_path / "a/1.dcm").write_bytes(b"x")
    assert [each.label for each in find([tmp_path]) if isinstance(each, FileSource)] == [str(tmp_path / "a/1.dcm")]


def test_the_archive_itself_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "data/blobs").mkdir(parents=True)
    (tmp_path / "data/blobs/1").write_bytes(b"x")
    (tmp_path / "2.dcm").write_bytes(b"x")
    (link := tmp_path / "link").symlink_to(tmp_path / "data")
    assert [each.label for each in find([tmp_path], link)] == [str(tmp_path / "2.dcm")]


def test_pipes_are_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert list(find([tmp_path])) == [Refused(str(tmp_path / "pipe"), "not a regular file")]


def test_a_first_pass_counts_files_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "1").write_bytes(b"12345")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a", b"123")
        archive.writestr("b/", b"")
        archive.writestr("c", b"12")
    total = count([tmp_path])
    assert (total.files, total.octets) == (3, 10)


def test_a_file_is_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "1"
    path.write_bytes(bytes(range(100)))
    (source,) = find([path])
    assert content(source) == bytes(range(100))


def test_a_file_that_went_away_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "1"
    path.write_bytes(b"x")
    (source,) = find([path])
    path.unlink()
    with pytest.raises(Unreadable, match="no such file"):
        content(source)


def test_members_of_a_zip_archive_are_read_without_unpacking(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "study.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/1.dcm", b"first" * 50)
        archive.writestr("../../outside.dcm", b"second")
    first, second = find([tmp_path / "study.zip"])
    assert content(first) == b"first" * 50
    assert content(second) == b"second"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["study.zip"]


def test_a_zip_bomb_is_refused_by_its_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(1 << 20))
    monkeypatch.setattr(sources, "MAX_RATIO", 100)
    assert [each.reason for each in find([tmp_path / "bomb.zip"]) if isinstance(each, Refused)] == [
        "ZIP member that claims an impossible length"
    ]


def test_a_zip_archive_that_claims_too_much_is_refused_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "big.zip", "w") as archive:
        archive.writestr("1", bytes(1000))
        archive.writestr("2", bytes(1000))
    monkeypatch.setattr(sources, "MAX_ARCHIVE", 1999)
    assert list(find([tmp_path / "big.zip"])) == [
        Refused(str(tmp_path / "big.zip"), "ZIP archive with too many or too long members")
    ]


def test_a_member_longer_than_it_claims_yields_no_more(tmp_path: Path) -> None:
    path = tmp_path / "lie.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1", bytes(100_000))
    data = path.read_bytes()
    path.write_bytes(data.replace((100_000).to_bytes(4, "little"), (50).to_bytes(4, "little")))
    (source,) = find([path])
    with pytest.raises(Unreadable):
        content(source)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 not really", b"PK\x05\x06" + bytes(18) + b"\xff"])
def test_a_file_that_is_no_zip_archive_says_so_or_holds_nothing(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "broken.zip"
    path.write_bytes(data)
    assert all(isinstance(each, Refused) for each in find([path]))


def test_archives_within_archives_and_encrypted_members_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "outer.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inner.ZIP", b"PK")
        archive.writestr("secret", b"x")
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    data[central + 8] |= 1
    path.write_bytes(data)
    reasons = [each.reason for each in find([path]) if isinstance(each, Refused)]
    assert reasons == ["ZIP archive within a ZIP archive", "encrypted ZIP member"]


def test_an_archive_is_closed_when_no_member_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a", b"1")
        archive.writestr("b", b"2")
    first, second = find([tmp_path / "two.zip"])
    assert isinstance(first, MemberSource)
    assert isinstance(second, MemberSource)
    reading = first.chunks(1)
    assert next(reading) == b"1"
    assert content(second) == b"2"
    assert list(reading) == []
    assert first.archive is second.archive
    assert first.archive.is_closed


def test_a_dicomdir_brings_the_files_it_refers_to_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "IMAGES").mkdir()
    for each in ("IM1", "IM2", "OTHER"):
        (tmp_path / "IMAGES" / each).write_bytes(b"x")
    path = directory(tmp_path, ["IMAGES", "IM1"], ["IMAGES", "IM2"], ["IMAGES", "IM1"], ["IMAGES", "GONE"])
    found = list(find([path]))
    assert [os.path.relpath(each.label, tmp_path) for each in found] == ["IMAGES/IM1", "IMAGES/IM2", "IMAGES/GONE"]
    assert found[2] == Refused(str(tmp_path / "IMAGES/GONE"), "no such file or directory")


@pytest.mark.parametrize("file_id", [["..", "secret"], ["", "etc", "passwd"], ["A/../../secret"], ["LINK", "secret"]])
def test_a_dicomdir_cannot_lead_outside_its_folder(tmp_path: Path, file_id: list[str]) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / "LINK").symlink_to(tmp_path)
    (found,) = find([directory(folder, file_id)])
    assert isinstance(found, Refused)
    assert found.reason == "DICOMDIR refers to a place outside its folder"


@pytest.mark.parametrize("data", [b"", b"text", bytes(128) + b"DICM", bytes(128) + b"DICM" + b"\x02\x00" * 9])
def test_a_dicomdir_that_is_none_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "DICOMDIR"
    path.write_bytes(data)
    (found,) = find([path])
    assert isinstance(found, Refused)


def test_an_image_by_the_name_of_dicomdir_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "DICOMDIR"
    path.write_bytes(Path(get_testdata_file("CT_small.dcm")).read_bytes())
    assert list(find([path])) == [Refused(str(path), "not a media storage directory")]


def test_pydicoms_file_set_is_found_whole() -> None:
    path = Path(get_testdata_file("DICOMDIR"))
    found = list(find([path]))
    assert len(found) == 31
    assert all(isinstance(each, FileSource) for each in found)
