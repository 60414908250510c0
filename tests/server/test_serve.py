"""TLS as the server speaks it, without a socket (D16)."""

from __future__ import annotations

import ssl
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from server.serve import modern_tls


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "weft")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    file.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return file


def handshake(certificate: Path, version: ssl.TLSVersion, ciphers: str) -> str | None:
    """The version agreed on with a client that speaks nothing newer than this."""

    def made() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        return context

    config = uvicorn.Config("nothing:here")
    offering = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    offering.check_hostname, offering.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        offering.minimum_version = ssl.TLSVersion.TLSv1
        offering.maximum_version = version
    offering.set_ciphers(ciphers)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = offering.wrap_bio(back, there)
    server = modern_tls(config, made).wrap_bio(there, back, server_side=True)
    for _ in range(6):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return client.version()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_d16_tls_1_2_and_1_3_are_spoken(certificate: Path, version: ssl.TLSVersion) -> None:
    assert handshake(certificate, version, "DEFAULT") == version.name.replace("_", ".")


def test_d16_older_tls_is_refused(certificate: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        older = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        handshake(certificate, older, "ALL:@SECLEVEL=0")


def test_ciphers_that_keep_their_keys_are_refused(certificate: Path) -> None:
    with pytest.raises(ssl.SSLError):
        handshake(certificate, ssl.TLSVersion.TLSv1_2, "AES128-SHA:AES256-SHA")
