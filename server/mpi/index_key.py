"""The key of the regional index: made at the first start, readable by its owner alone, the same for a whole region.

Whoever has it can try citizen numbers against indexes, so it is a secret; and indexes made under another key are
others. So none is made where there are indexes already: the file that made them has to be restored.
"""

from __future__ import annotations

from pathlib import Path

from server.mpi.stored import EXAMINATIONS
from storage.encryption.keys import KeyFileError
from storage.encryption.secret_file import open_secret
from storage.ports import Records, Threads
from storage.query import EVERYTHING


async def open_index_key(records: Records, path: Path, threads: Threads) -> bytes:
    """The key; `KeyFileError` where the file cannot be used."""
    is_used = bool((await records.find(EXAMINATIONS, EVERYTHING, limit=1)).records)
    return await threads.io(_opened, path, is_used)


def _opened(path: Path, is_used: bool) -> bytes:
    if is_used and not path.exists():
        raise KeyFileError(f"key file {path} is missing: examinations are indexed by it already; restore it")
    return open_secret(path)
