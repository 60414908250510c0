"""What Linux can do with files beyond Python's `os`; on other systems each function gives the harmless answer.

The page cache can be asked without waiting: openat2(2) with RESOLVE_CACHED opens a path only if no directory has
to be read for it, preadv2(2) with RWF_NOWAIT reads only what is in memory. So the event loop itself may serve a
cached blob, which costs a third of handing it to a thread.
"""

from __future__ import annotations

import ctypes
import os
import sys

from storage.ports import Bytes

_OPENAT2 = 437
_AT_FDCWD = -100
_RESOLVE_CACHED = 0x20
_SYNC_FILE_RANGE_WRITE = 2
_NOWAIT = getattr(os, "RWF_NOWAIT", None)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_IS_LINUX = sys.platform == "linux" and _NOWAIT is not None
_LIBC = ctypes.CDLL(None, use_errno=True)
_SYSCALL = _LIBC.syscall
_SYSCALL.restype = ctypes.c_long
_SYSCALL.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)
_HOW = _OpenHow(os.O_RDONLY | getattr(os, "O_CLOEXEC", 0), 0, _RESOLVE_CACHED)
_HOW_ADDRESS = ctypes.addressof(_HOW)
_HOW_SIZE = ctypes.sizeof(_HOW)
_SYNC_FILE_RANGE = getattr(_LIBC, "sync_file_range", None) if _IS_LINUX else None
if _SYNC_FILE_RANGE is not None:
    _SYNC_FILE_RANGE.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def read_cached(path: bytes, buffer: Bytes, start: int) -> int:
    """Fill `buffer` from the file as far as no disk is needed; how many bytes that was, -1 if it was not opened.

    It never raises: whatever stands in the way is met again, and named, by the read that follows in a thread.
    """
    if not _IS_LINUX:
        return -1
    descriptor = _SYSCALL(_OPENAT2, _AT_FDCWD, path, _HOW_ADDRESS, _HOW_SIZE)
    if descriptor < 0:
        return -1
    try:
        return read_waitless(descriptor, buffer, start)
    finally:
        os.close(descriptor)


def read_waitless(descriptor: int, buffer: Bytes, start: int) -> int:
    """As `read_cached`, of an open file."""
    if _NOWAIT is None:
        return 0
    try:
        return os.preadv(descriptor, [buffer], start, _NOWAIT)
    except OSError:
        return 0


def start_flush(descriptor: int) -> None:
    """Begin writing a file's bytes to the disk without waiting, so that several files' flushes overlap."""
    if _SYNC_FILE_RANGE is not None:
        _SYNC_FILE_RANGE(descriptor, 0, 0, _SYNC_FILE_RANGE_WRITE)
