"""The keys of the audit journal: the file that signs and links, and the seal of its bodies."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.encryption.bodies import ClearBodies, SealedBodies
from storage.encryption.ciphers import Algorithm
from storage.encryption.keys import KeyFileError, open_keys, rotate_data_key
from storage.encryption.signing import SigningKey, is_signed, open_signing_keys, renew_signing_key
from storage.errors import Damaged


def test_the_file_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "audit.key"
    keys = open_signing_keys(path, may_create=True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert open_signing_keys(path, may_create=False).active == keys.active


def test_a_missing_file_is_only_made_where_it_may_be(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="restore it"):
        open_signing_keys(tmp_path / "audit.key", may_create=False)


def test_a_signature_is_of_one_text_and_one_key(tmp_path: Path) -> None:
    one = open_signing_keys(tmp_path / "one.key", may_create=True).active
    other = open_signing_keys(tmp_path / "other.key", may_create=True).active
    signature = one.sign(b"text")
    assert is_signed(one.public, b"text", signature)
    assert not is_signed(one.public, b"texts", signature)
    assert not is_signed(other.public, b"text", signature)
    assert not is_signed(one.public, b"text", b"")
    assert not is_signed(b"short", b"text", signature)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300))
def test_links_are_hmac_sha256(seed: bytes, text: bytes) -> None:
    secret = hmac.digest(seed, b"weft journal link", hashlib.sha256)
    assert SigningKey(seed, "").link(text) == hmac.digest(secret, text, hashlib.sha256)


def test_a_renewed_key_signs_and_the_old_one_still_checks(tmp_path: Path) -> None:
    path = tmp_path / "audit.key"
    running = open_signing_keys(path, may_create=True)
    before = running.active
    name = renew_signing_key(path)
    after = open_signing_keys(path, may_create=False)
    assert after.active.id.hex() == name != before.id.hex()
    assert after.find(before.id) == before
    assert running.find(after.active.id) == after.active
    assert running.find(b"none") is None


@pytest.mark.parametrize("content", [
    b"", b"{}", b"[]", b"\xff", b'{"format": "weft signing keys 1", "keys": []}',
    b'{"format": "weft signing keys 1", "keys": [{"seed": "AAAA", "created": ""}]}',
    b'{"format": "weft signing keys 1", "keys": [{"seed": "?", "created": ""}]}',
    json.dumps({"format": "weft keys 1", "keys": []}).encode(),
])  # fmt: skip
def test_another_file_is_refused_without_quoting_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "audit.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="not a signing key file"):
        open_signing_keys(path, may_create=False)


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "audit.key"
    open_signing_keys(path, may_create=True)
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="0600"):
        open_signing_keys(path, may_create=True)


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_a_body_opens_only_in_its_place(tmp_path: Path, algorithm: Algorithm) -> None:
    path = tmp_path / "master.key"
    bodies = SealedBodies(open_keys(path), algorithm)
    sealed = [bodies.seal(b"body", b"log-1\0001") for _ in range(3)]
    assert len(set(sealed)) == 3
    rotate_data_key(path)
    later = SealedBodies(open_keys(path), algorithm)
    assert [later.open(each, b"log-1\0001") for each in sealed] == [b"body"] * 3
    changed = sealed[0][:-1] + bytes((sealed[0][-1] ^ 1,))
    for wrong in (changed, sealed[0][:20], b"", b"body", os.urandom(80)):
        with pytest.raises(Damaged):
            later.open(wrong, b"log-1\0001")
    with pytest.raises(Damaged):
        later.open(sealed[0], b"log-1\0002")


def test_where_nothing_is_encrypted_bodies_are_as_they_are() -> None:
    assert ClearBodies().open(ClearBodies().seal(b"body", b""), b"") == b"body"
