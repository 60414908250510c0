"""What a server needs of its machine before it starts: a port to listen on, and certificates that can be read.

Each is told in a sentence that names the setting; the server itself would end with a trace.
"""

from __future__ import annotations

import errno
import socket
import ssl

from server.commands.configuration import fail
from server.settings import Settings

_NOT_OURS = (errno.EADDRNOTAVAIL, errno.EINVAL)


def check_machine(settings: Settings, hint: str = "choose another with --port") -> None:
    """End the command where the server could not start; `hint` is for a port that is taken."""
    _check_port(settings.host, settings.port, hint)
    if settings.tls_certificate:
        _check_pair("WEFT_TLS_CERTIFICATE and WEFT_TLS_KEY", settings.tls_certificate, settings.tls_key)
    if settings.tls_client_authorities:
        _check_authority("WEFT_TLS_CLIENT_AUTHORITIES", settings.tls_client_authorities)
    if settings.audit_syslog_authority:
        _check_authority("WEFT_AUDIT_SYSLOG_AUTHORITY", settings.audit_syslog_authority)
    if settings.audit_syslog_certificate:
        names = "WEFT_AUDIT_SYSLOG_CERTIFICATE and WEFT_AUDIT_SYSLOG_KEY"
        _check_pair(names, settings.audit_syslog_certificate, settings.audit_syslog_key or None)


def _check_port(host: str, port: int, hint: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            fail(f"port {port}: only privileged users may listen there; {hint}")
        except socket.gaierror:
            fail(f"WEFT_HOST={host}: this machine knows no address of that name")
        except OSError as error:
            if error.errno in _NOT_OURS:
                fail(f"WEFT_HOST={host}: not an address of this machine")
            fail(f"port {port} is in use: stop what listens there, or {hint}")


def _check_pair(names: str, certificate: str, key: str | None) -> None:
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key, _no_password)
    except (OSError, ValueError) as error:
        fail(f"{names}: {_reason(error)}")


def _check_authority(name: str, file: str) -> None:
    try:
        ssl.create_default_context(cafile=file)
    except (OSError, ValueError) as error:
        fail(f"{name}: {_reason(error)}")


def _no_password() -> str:
    """Nobody is there to type one when a server starts."""
    raise ValueError("a key with a password is not taken")


def _reason(error: Exception) -> str:
    match error:
        case FileNotFoundError():
            return "there is no such file"
        case PermissionError():
            return "the file may not be read"
        case ssl.SSLError(reason="KEY_VALUES_MISMATCH"):
            return "the key is not the certificate's"
        case ssl.SSLError() | IsADirectoryError():
            return "not a certificate and key in PEM form"
        case _:
            return str(error)
