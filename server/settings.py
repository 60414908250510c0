"""Every setting, read once from the environment and checked at start; no other module reads the environment."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_PREFIX = "WEFT_"
_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


class SettingsError(ValueError):
    """A setting that cannot be used; the text names the variable and what would be accepted."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`WEFT_<NAME>` for each field; sizes take a suffix k, m or g."""

    data: Path = Path("data")
    """Where SQLite, blobs and the key file live unless told otherwise."""
    records: str = ""
    """`sqlite:///path` or `mongodb://…/database`; empty: `sqlite` inside `data`."""
    blobs: str = ""
    """`file:///path` or `s3://bucket/prefix`; empty: a folder inside `data`."""
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    """Worker processes that share one archive."""
    base_url: str = ""
    """The URL clients use, where a proxy stands before Weft; empty: taken from each request's Host header."""
    auth: str = "off"
    """`off` opens everything to whoever reaches the port, and so refuses any address but loopback."""
    encryption: str = "aes-256-gcm"
    """At rest: `aes-256-gcm`, `sm4-gcm` or `off`."""
    master_key_file: str = ""
    """Key file, made at first start with mode 0600; empty: `master.key` inside `data`."""
    tls_certificate: str = ""
    tls_key: str = ""
    cors_origins: str = "local"
    """Comma-separated origins whose pages may call; `local` for those of this machine, `*` for any, empty for none."""
    max_part: int = 16 << 30
    """Longest single instance accepted, in bytes."""
    max_pixels: int = 1 << 28
    """Most pixels of one frame that will be decoded."""
    cache: int = 64 << 20
    """Bytes of ready-made metadata answers each worker may keep."""
    query_limit: int = 1000
    """Most results of one search answer; a client pages beyond it."""
    max_resource: int = 64 << 20
    """Longest FHIR request body accepted, in bytes."""
    bundle_entries: int = 5000
    """Most entries of one batch or transaction."""
    conditional_deletes: int = 0
    """Most resources one conditional delete may remove; 0 refuses where several match."""
    references: str = "free"
    """`enforced` refuses references to what is not here, and deletes of what is referred to; `free` takes both."""
    profiles: str = "enforced"
    """Profiles a resource claims: `enforced`, or `told` as warnings of `$validate` only."""
    subscription_hosts: str = ""
    """Comma-separated `host`, `host:port` or `*.domain`: private places that subscriptions may notify as well."""
    time_zone: str = "UTC"
    """IANA name: of FHIR dates and search values that tell no zone of their own."""
    image_time_zone: str = "Asia/Shanghai"
    """IANA name: of images that state no offset from UTC, and of days and times in a timeline that state none."""
    log_level: str = "info"

    @property
    def records_url(self) -> str:
        return self.records or f"sqlite:///{(self.data / 'weft.sqlite').resolve()}"

    @property
    def blobs_url(self) -> str:
        return self.blobs or f"file://{(self.data / 'blobs').resolve()}"

    @property
    def key_file(self) -> Path:
        return Path(self.master_key_file) if self.master_key_file else self.data / "master.key"

    def checked(self) -> Settings:
        """Itself, or `SettingsError`."""
        if self.auth != "off":
            raise SettingsError("WEFT_AUTH: only 'off' is known to this version")
        if not _is_loopback(self.host):
            raise SettingsError(
                f"WEFT_HOST={self.host}: with WEFT_AUTH=off Weft only listens on loopback (127.0.0.1, ::1, localhost)"
            )
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise SettingsError("WEFT_TLS_CERTIFICATE and WEFT_TLS_KEY go together: give both or neither")
        if self.encryption not in ("aes-256-gcm", "sm4-gcm", "off"):
            raise SettingsError("WEFT_ENCRYPTION: one of aes-256-gcm, sm4-gcm, off")
        if not 1 <= self.workers <= 256:
            raise SettingsError("WEFT_WORKERS: 1 to 256")
        if self.query_limit < 1:
            raise SettingsError("WEFT_QUERY_LIMIT: at least 1")
        return self._fhir_checked()

    def _fhir_checked(self) -> Settings:
        if self.references not in ("free", "enforced"):
            raise SettingsError("WEFT_REFERENCES: free or enforced")
        if self.profiles not in ("enforced", "told"):
            raise SettingsError("WEFT_PROFILES: enforced or told")
        if min(self.max_resource, self.bundle_entries) < 1 or self.conditional_deletes < 0:
            raise SettingsError("WEFT_MAX_RESOURCE and WEFT_BUNDLE_ENTRIES are at least 1, WEFT_CONDITIONAL_DELETES 0")
        for name in (self.time_zone, self.image_time_zone):
            try:
                ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError):
                raise SettingsError(f"WEFT_TIME_ZONE, WEFT_IMAGE_TIME_ZONE: no time zone {name} is known") from None
        return self


def read_settings(environment: Mapping[str, str] = os.environ, **overrides: Any) -> Settings:
    """Settings from `WEFT_*` variables, overridden by keyword where the value is not `None`."""
    values: dict[str, Any] = {}
    for each in fields(Settings):
        text = environment.get(_PREFIX + each.name.upper())
        if text is not None:
            values[each.name] = _parse(each.name, str(each.type), text)
    values.update({name: value for name, value in overrides.items() if value is not None})
    known = {each.name for each in fields(Settings)}
    for name in environment:
        if name.startswith(_PREFIX) and name.removeprefix(_PREFIX).lower() not in known | {"test_mongodb", "test_s3"}:
            raise SettingsError(f"{name} is not a setting of Weft; `weft serve --help` lists them")
    return Settings(**values).checked()


def _parse(name: str, kind: str, text: str) -> Any:
    if kind == "int":
        digits, unit = (text[:-1], text[-1].lower()) if text[-1:].lower() in _UNITS else (text, "")
        try:
            return int(digits) * _UNITS.get(unit, 1)
        except ValueError:
            raise SettingsError(
                f"{_PREFIX}{name.upper()}={text}: a whole number, or one with suffix k, m or g"
            ) from None
    return Path(text) if kind == "Path" else text


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
