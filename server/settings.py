"""Every setting, read once from the environment and checked at start; no other module reads the environment."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_PREFIX = "WEFT_"
_BASE_URL = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+(/[^?#\s]*)?")
_PLACE = re.compile(r"([A-Za-z0-9.\-]+|\[[0-9A-Fa-f:]+\])(:[1-9]\d{0,4})?")
_HOURS = re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d")
_OID = re.compile(r"(urn:oid:)?(?=.{3,60}$)[0-2](\.(0|[1-9]\d*))+")
MOST_MESSAGES = 256 << 20
"""Bytes of SOAP messages held in memory at once, documents apart."""
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
    """The URL clients use; empty, which only loopback may be: taken from each request's Host header."""
    proxies: str = "127.0.0.1,::1"
    """Comma-separated addresses or networks of proxies, whose word on who calls (X-Forwarded-For) is believed."""
    auth: str = "smart"
    """`smart`: nothing without a token; `off` opens everything to whoever reaches the port, which must be loopback."""
    encryption: str = "aes-256-gcm"
    """At rest: `aes-256-gcm`, `sm4-gcm` or `off`."""
    master_key_file: str = ""
    """Key file, made at first start with mode 0600; empty: `master.key` inside `data`."""
    tls_certificate: str = ""
    """PEM file, with the chain; together with its key Weft speaks HTTPS itself, TLS 1.2 or newer."""
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
    organization: str = "Weft"
    """Name of the hospital, as sign-in pages and apps show it."""
    organization_url: str = ""
    """The hospital's own website, for apps that let patients find it; empty: this server."""
    second_factor: str = "clinical"
    """Who must sign in with a second factor: `clinical`, everybody who sees patients; `all`; or `off`."""
    session_idle_minutes: int = 15
    """A browser session ends after so long without use."""
    session_hours: int = 12
    """A browser session ends after so long in any case."""
    registration: str = "off"
    """Apps register themselves: `off`, with a `token`, or anybody (`approval`); all wait for an administrator."""
    client_key_hosts: str = ""
    """Comma-separated `host`, `host:port` or `*.domain`: private places that clients may publish their keys at."""
    consent_policy: str = "all-normal"
    """What holds where no consent speaks: `all-normal`, `basic-normal`, `break-glass-only` or `deny`."""
    consent_purposes: str = "per-purpose"
    """`per-purpose`: a consent speaks of the purposes it names; `whole`: what it does not permit is forbidden."""
    custodian: str = ""
    """Comma-separated references that mean this custodian in a Consent's organization; empty: every consent counts."""
    consent_fault_roles: str = ""
    """Comma-separated roles that go on with the purpose BTG while consents cannot be judged; empty: nobody does."""
    unlabelled: str = "N"
    """Confidentiality of what carries no label: `N` or `R`."""
    audit_log: str = ""
    """`file:///folder` or `mongodb://…/database` of the audit journal; empty: `audit` in `data`, or the records' own
    database where that is MongoDB."""
    audit_key_file: str = ""
    """Key file that signs the audit journal, made at first start with mode 0600; empty: `audit.key` inside `data`."""
    audit_witness: str = ""
    """`file:///folder` or `s3://bucket/prefix`, best elsewhere: signed checkpoints of the journal are copied there."""
    audit_retention_days: int = 2190
    """Days for which the content of an audit event is kept, at least 180; its hash is kept for ever."""
    audit_flush: str = "soon"
    """`each`: an event is on the disk before its act is answered. `soon`: what was only read or searched is written
    before it is answered, so that it outlives the server, and is on the disk within a twentieth of a second."""
    audit_failure: str = "refuse"
    """When the journal cannot be written: `refuse` answers 503, `proceed` goes on and writes it later."""
    audit_syslog: str = ""
    """`host:port` of an audit record repository that takes syslog over TLS (IHE ATNA ITI-20); empty: none."""
    audit_syslog_authority: str = ""
    """PEM file that vouches for the repository's certificate; empty: the authorities of this machine."""
    audit_syslog_certificate: str = ""
    """Certificate this server shows the repository, with its key; empty: none."""
    audit_syslog_key: str = ""
    audit_alert_patients: int = 200
    """An alert is raised when one user reaches more patients than this within an hour; 0: never."""
    audit_alert_refusals: int = 20
    """An alert is raised when one user or address is refused more often than this within an hour; 0: never."""
    audit_working_hours: str = ""
    """`07:00-19:30`, in the time zone of images: access to patients outside raises an alert; empty: never."""
    community: str = ""
    """OID this community goes by among others (homeCommunityId); empty: one made at first start and kept."""
    patient_authority: str = ""
    """OID that assigns the master numbers of patients, the patient ids of XDS; empty: one under the community's."""
    institution: str = ""
    """Code of the institution whose images tell none of their own, as `weft institution` registered it."""
    manifests: str = "on"
    """`on`: every study is published in the registry by a manifest of its images (KOS); `off`: none is."""
    reports: str = "on"
    """`on`: reports written over FHIR become documents of the registry, and the other way round; `off`: neither."""
    unknown_patients: str = "empty"
    """A registry query for a patient nobody knows: `empty` finds nothing, `error` says so (XDSUnknownPatientId)."""
    document_limit: int = 5000
    """Most whole entries of one registry answer; more are asked for by reference and then by id."""
    max_document: int = 4 << 30
    """Longest document accepted, in bytes."""
    max_submission: int = 64 << 20
    """Longest SOAP message accepted, documents apart, in bytes."""
    reply_hosts: str = ""
    """Comma-separated `host`, `host:port` or `*.domain` SOAP answers may be sent to; empty: none but the caller."""
    community_seconds: int = 10
    """How long another community may take to answer before the others' answers go out without its own."""
    tls_client_authorities: str = ""
    """PEM file of the authorities whose client certificates name nodes (mutual TLS); empty: none are asked for."""
    index_key_file: str = ""
    """Key file of the regional index, made at first start with mode 0600; empty: `index.key` inside `data`. Servers
    that share it give one examination the same index."""
    mllp_port: int = 0
    """Port for HL7 version 2 messages (MLLP), on the same address; with sign-in only over TLS, from nodes; 0: none."""
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

    @property
    def audit_log_url(self) -> str:
        if self.audit_log:
            return self.audit_log
        if self.records.startswith("mongodb"):
            return self.records
        return f"file://{(self.data / 'audit').resolve()}"

    @property
    def audit_key(self) -> Path:
        return Path(self.audit_key_file) if self.audit_key_file else self.data / "audit.key"

    @property
    def index_key(self) -> Path:
        return Path(self.index_key_file) if self.index_key_file else self.data / "index.key"

    @property
    def scheme(self) -> str:
        """What this process itself speaks."""
        return "https" if self.tls_certificate else "http"

    @property
    def own_url(self) -> str:
        """Where clients reach this server, as far as the settings tell."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.base_url.rstrip("/") or f"{self.scheme}://{host}:{self.port}"

    def checked(self) -> Settings:
        """Itself, or `SettingsError`."""
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise SettingsError("WEFT_TLS_CERTIFICATE and WEFT_TLS_KEY go together: give both or neither")
        self._reach_checked()
        for each in self.proxies.split(","):
            if each.strip() and not _is_network(each.strip()):
                raise SettingsError(f"WEFT_PROXIES: addresses or networks; {each.strip()} is none")
        if self.encryption not in ("aes-256-gcm", "sm4-gcm", "off"):
            raise SettingsError("WEFT_ENCRYPTION: one of aes-256-gcm, sm4-gcm, off")
        if not 0 <= self.port <= 65535:
            raise SettingsError("WEFT_PORT: 1 to 65535, or 0 for any that is free")
        if not 1 <= self.workers <= 256:
            raise SettingsError("WEFT_WORKERS: 1 to 256")
        if self.log_level not in ("debug", "info", "warning", "error"):
            raise SettingsError("WEFT_LOG_LEVEL: debug, info, warning or error")
        if self.query_limit < 1:
            raise SettingsError("WEFT_QUERY_LIMIT: at least 1")
        self._sign_in_checked()
        self._trust_checked()
        self._communities_checked()
        self._submissions_checked()
        return self._fhir_checked()

    def _reach_checked(self) -> None:
        """Without sign-in only this machine may call; with it, nothing goes over a network in the clear."""
        if self.auth not in ("smart", "off"):
            raise SettingsError("WEFT_AUTH: smart or off")
        if self.base_url and not _BASE_URL.fullmatch(self.base_url):
            raise SettingsError("WEFT_BASE_URL: https://host, or http://host, perhaps with a path, without ? and #")
        if self.auth == "off" and not is_loopback(self.host):
            raise SettingsError(
                f"WEFT_HOST={self.host}: with WEFT_AUTH=off Weft only listens on loopback (127.0.0.1, ::1, localhost)"
            )
        if self.auth == "smart":
            self._address_checked()

    def _address_checked(self) -> None:
        """Who is reached by others says under which URL: a client's proof is made out to it, and whoever may name it in
        a Host header could hand in here what a client had meant for another server."""
        host = urlsplit(self.base_url).hostname or "" if self.base_url else self.host
        if not is_loopback(host) and not self.base_url.startswith("https://"):
            raise SettingsError(
                f"WEFT_HOST={self.host}: tokens and passwords must not travel in the clear. Give"
                " WEFT_BASE_URL=https://…, the URL clients use, and unless a proxy speaks HTTPS before Weft,"
                " WEFT_TLS_CERTIFICATE and WEFT_TLS_KEY"
            )

    def _sign_in_checked(self) -> None:
        if self.second_factor not in ("clinical", "all", "off"):
            raise SettingsError("WEFT_SECOND_FACTOR: clinical, all or off")
        if min(self.session_idle_minutes, self.session_hours) < 1:
            raise SettingsError("WEFT_SESSION_IDLE_MINUTES and WEFT_SESSION_HOURS: at least 1")
        if self.registration not in ("off", "token", "approval"):
            raise SettingsError("WEFT_REGISTRATION: off, token or approval")

    def _trust_checked(self) -> None:
        if self.consent_policy not in ("all-normal", "basic-normal", "break-glass-only", "deny"):
            raise SettingsError("WEFT_CONSENT_POLICY: all-normal, basic-normal, break-glass-only or deny")
        if self.consent_purposes not in ("per-purpose", "whole"):
            raise SettingsError("WEFT_CONSENT_PURPOSES: per-purpose or whole")
        if self.unlabelled not in ("N", "R"):
            raise SettingsError("WEFT_UNLABELLED: N or R")
        if self.audit_flush not in ("each", "soon"):
            raise SettingsError("WEFT_AUDIT_FLUSH: each or soon")
        if self.audit_failure not in ("refuse", "proceed"):
            raise SettingsError("WEFT_AUDIT_FAILURE: refuse or proceed")
        if self.audit_syslog and not _PLACE.fullmatch(self.audit_syslog):
            raise SettingsError("WEFT_AUDIT_SYSLOG: host or host:port")
        if self.audit_working_hours and not _HOURS.fullmatch(self.audit_working_hours):
            raise SettingsError("WEFT_AUDIT_WORKING_HOURS: such as 07:00-19:30")
        if min(self.audit_alert_patients, self.audit_alert_refusals) < 0:
            raise SettingsError("WEFT_AUDIT_ALERT_PATIENTS and WEFT_AUDIT_ALERT_REFUSALS: 0 or more")
        if self.audit_retention_days < 180:
            raise SettingsError("WEFT_AUDIT_RETENTION_DAYS: at least 180 (six months)")

    def _submissions_checked(self) -> None:
        if min(self.document_limit, self.max_document, self.max_submission, self.community_seconds) < 1:
            raise SettingsError(
                "WEFT_DOCUMENT_LIMIT, WEFT_MAX_DOCUMENT, WEFT_MAX_SUBMISSION and WEFT_COMMUNITY_SECONDS: at least 1"
            )
        if self.max_submission > MOST_MESSAGES:
            raise SettingsError(
                f"WEFT_MAX_SUBMISSION: at most {MOST_MESSAGES >> 20}m, the room for all SOAP messages on their way"
            )

    def _communities_checked(self) -> None:
        for name, value in (("COMMUNITY", self.community), ("PATIENT_AUTHORITY", self.patient_authority)):
            if value and not _OID.fullmatch(value):
                raise SettingsError(f"WEFT_{name}: an OID of at most 60 characters, such as 2.16.156.10011")
        for name, value in (("MANIFESTS", self.manifests), ("REPORTS", self.reports)):
            if value not in ("on", "off"):
                raise SettingsError(f"WEFT_{name}: on or off")
        if self.unknown_patients not in ("empty", "error"):
            raise SettingsError("WEFT_UNKNOWN_PATIENTS: empty or error")
        if not 0 <= self.mllp_port <= 65535:
            raise SettingsError("WEFT_MLLP_PORT: 1 to 65535, or 0 for none")
        if self.mllp_port and self.auth != "off" and not self.tls_client_authorities:
            raise SettingsError(
                "WEFT_MLLP_PORT: with sign-in senders are known by their certificates. Give WEFT_TLS_CERTIFICATE,"
                " WEFT_TLS_KEY and WEFT_TLS_CLIENT_AUTHORITIES"
            )
        if self.tls_client_authorities and not self.tls_certificate:
            raise SettingsError(
                "WEFT_TLS_CLIENT_AUTHORITIES: only where Weft itself speaks HTTPS (WEFT_TLS_CERTIFICATE)"
            )

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


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
