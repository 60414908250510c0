"""What is read of X.509 certificates: the name in one, its thumbprint, and from when to when it is good."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

_LONGEST = 64 << 10
_SHORTEST_RSA, _SHORTEST_CURVE = 2048, 256
_FIELD = re.compile(r":([A-Za-z0-9+/]+={0,2}):")
"""A byte sequence as a structured field (RFC 9651 3.3.5)."""
_SPACED = re.compile(r"(?<!\\),\s+")


@dataclass(frozen=True, slots=True)
class Certificate:
    der: bytes
    thumbprint: str
    subject: str
    """RFC 4514."""
    start: datetime
    end: datetime
    can_sign: bool
    """Whether its key is of a kind and length with which what is signed is believed."""

    @property
    def pem(self) -> str:
        return x509.load_der_x509_certificate(self.der).public_bytes(Encoding.PEM).decode()

    def is_good(self, moment: datetime) -> bool:
        return self.start <= moment <= self.end


@lru_cache(maxsize=256)
def read_der(der: bytes) -> Certificate:
    """`ValueError` where it is none."""
    if len(der) > _LONGEST:
        raise ValueError("no certificate is that long")
    return _read(x509.load_der_x509_certificate(der))


def read_pem(text: bytes) -> tuple[Certificate, ...]:
    """All in a file; `ValueError` where there is none, or one that cannot be read."""
    return tuple(_read(each) for each in x509.load_pem_x509_certificates(text))


def from_field(value: str) -> bytes:
    """The DER of a `Client-Cert` header (RFC 9440 2.2); `ValueError` where it is none."""
    found = _FIELD.fullmatch(value.strip()) if len(value) <= 2 * _LONGEST else None
    if found is None:
        raise ValueError("no certificate as RFC 9440 has it")
    return base64.b64decode(found[1], validate=True)


def normal_name(text: str) -> str:
    """A name as certificates are compared by; `ValueError` where it is none (RFC 4514; spaces after commas pass)."""
    return x509.Name.from_rfc4514_string(_SPACED.sub(",", text.strip())).rfc4514_string()


def _read(found: x509.Certificate) -> Certificate:
    return Certificate(
        der=found.public_bytes(Encoding.DER),
        thumbprint=found.fingerprint(SHA256()).hex(),
        subject=found.subject.rfc4514_string(),
        start=found.not_valid_before_utc,
        end=found.not_valid_after_utc,
        can_sign=_can_sign(found),
    )


def _can_sign(found: x509.Certificate) -> bool:
    try:
        match found.public_key():
            case RSAPublicKey() as key:
                return key.key_size >= _SHORTEST_RSA
            case EllipticCurvePublicKey() as key:
                return key.key_size >= _SHORTEST_CURVE
    except (UnsupportedAlgorithm, ValueError):
        pass
    return False
