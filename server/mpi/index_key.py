"""The key of the regional index: made at the first start, readable by its owner alone, the same for a whole region.

Whoever has it can try citizen numbers against indexes, so it is a secret; and indexes made under another key are
others. So none is made where there are indexes already: the file that made them has to be restored.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from contextlib import suppress
from pathlib import Path

from server.mpi.stored import EXAMINATIONS
from storage.encryption.keys import KeyFileError, publish, read_private
from storage.ports import Records, Threads
from storage.query import EVERYTHING

_FORMAT = "weft index key 1"
_OCTETS = 32


async def open_index_key(records: Records, path: Path, threads: Threads) -> bytes:
    """The key; `KeyFileError` where the file cannot be used."""
    is_used = bool((await records.find(EXAMINATIONS, EVERYTHING, limit=1)).records)
    return await threads.io(_opened, path, is_used)


def _opened(path: Path, is_used: bool) -> bytes:
    try:
        if not path.exists():
            if is_used:
                raise KeyFileError(f"key file {path} is missing: examinations are indexed by it already; restore it")
            with suppress(FileExistsError):
                publish(path, _encoded(secrets.token_bytes(_OCTETS)), replacing=False)
        return _decoded(read_private(path))
    except KeyFileError:
        raise
    except OSError as error:
        raise KeyFileError(f"key file {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise KeyFileError(f"key file {path}: not a key of the regional index") from error


def _encoded(key: bytes) -> bytes:
    return json.dumps({"format": _FORMAT, "key": base64.b64encode(key).decode()}).encode() + b"\n"


def _decoded(content: bytes) -> bytes:
    read = json.loads(content)
    key = base64.b64decode(read["key"], validate=True)
    if read["format"] != _FORMAT or len(key) != _OCTETS:
        raise ValueError(_FORMAT)
    return key
