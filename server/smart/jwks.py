"""A client's public keys: a checked key set, and the one key of it that an assertion names (RFC 7517, RFC 7518 6)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import jwt

from server.kernel.problem import Issue, Kind, Problem

KEY_TYPES = {"RS384": "RSA", "ES384": "EC"}
"""The algorithms of assertions and the kind of key each is made with (SMART App Launch 2.2, asymmetric)."""

MOST_KEYS = 32
_LEAST_MODULUS, _MOST_MODULUS = 256, 1024
"""Octets: 2048 bits at least, and no more than a check can bear."""
_CURVE = "P-384"
_PUBLIC = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y")}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

JsonKey = dict[str, Any]


class WrongKeys(Exception):
    """A key set or a key that cannot be used; the text says why and holds nothing of it."""


def key_set(document: object) -> list[JsonKey]:
    """The keys of a JWKS document; those of kinds we do not use are kept, because a set may serve others too."""
    match document:
        case {"keys": list(keys)} if len(keys) <= MOST_KEYS and all(isinstance(each, dict) for each in keys):
            return list(keys)
        case _:
            raise WrongKeys(f"a key set is an object with at most {MOST_KEYS} keys")


def inline_keys(document: object) -> list[JsonKey]:
    """The keys of a set that a client registers; `invalid_client_metadata` where it could never be used."""
    try:
        keys = key_set(document)
        if any(_PRIVATE & set(each) for each in keys):
            raise WrongKeys("a key set holds public keys only")
        usable = [each for each in keys if _is_usable(each)]
        if not usable:
            raise WrongKeys("no key of the set is an RSA key of 2048 bits or more, or an EC key on P-384, with a kid")
    except WrongKeys as error:
        text = f"jwks: {error}."
        raise Problem(Kind.INVALID, text, (Issue(text, code="invalid_client_metadata"),)) from None
    return keys


def chosen(keys: Sequence[JsonKey], kid: str, algorithm: str) -> JsonKey | None:
    """The key of this id; `None` where no key has it, `WrongKeys` where it is not exactly one of the right kind."""
    named = [each for each in keys if each.get("kid") == kid]
    if not named:
        return None
    if len(named) > 1:
        raise WrongKeys("several keys have the id")
    (key,) = named
    if key.get("kty") != KEY_TYPES[algorithm] or key.get("alg", algorithm) != algorithm:
        raise WrongKeys("the key is not of the algorithm")
    if key.get("use", "sig") != "sig" or "verify" not in key.get("key_ops", ("verify",)):
        raise WrongKeys("the key is not one to verify with")
    return key


def public_key(key: Mapping[str, Any], algorithm: str) -> jwt.PyJWK:
    """The key ready for use, from its public members only and within bounds."""
    kind = KEY_TYPES[algorithm]
    members = {name: key.get(name) for name in _PUBLIC[kind]}
    if not all(isinstance(each, str) for each in members.values()):
        raise WrongKeys("the key lacks a member")
    if kind == "RSA" and not _is_sound_modulus(str(key["n"]), str(key["e"])):
        raise WrongKeys("the key is shorter than 2048 bits, or too long")
    if kind == "EC" and key["crv"] != _CURVE:
        raise WrongKeys("the key is not on P-384")
    try:
        return jwt.PyJWK(members, algorithm)
    except (jwt.PyJWTError, ValueError):
        raise WrongKeys("the key cannot be read") from None


def _is_usable(key: JsonKey) -> bool:
    algorithm = next((name for name, kind in KEY_TYPES.items() if kind == key.get("kty")), None)
    if algorithm is None or not isinstance(key.get("kid"), str):
        return False
    try:
        public_key(key, algorithm)
    except WrongKeys:
        return False
    return True


def _is_sound_modulus(modulus: str, exponent: str) -> bool:
    if len(modulus) > 2 * _MOST_MODULUS or len(exponent) > 8:
        return False
    try:
        octets = base64.urlsafe_b64decode(modulus + "=" * (-len(modulus) % 4)).lstrip(b"\0")
    except (binascii.Error, ValueError):
        return False
    return _LEAST_MODULUS <= len(octets) <= _MOST_MODULUS
