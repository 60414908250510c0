"""Memory for opened content: taken again only when nothing looks at it."""

from __future__ import annotations

from storage.encryption.memory import Memory

SIZE = 256 << 10


def test_what_was_let_go_is_taken_again() -> None:
    memory = Memory(SIZE, 2)
    first = memory.take(SIZE - 1)
    first[:4] = b"seen"
    first = memory.take(SIZE)
    second = memory.take(SIZE)
    del second
    again = memory.take(SIZE - 1)
    assert len(again) == SIZE - 1
    assert isinstance(again, memoryview)
    assert again.obj is not memoryview(first).obj


def test_what_is_still_looked_at_is_not_taken() -> None:
    memory = Memory(SIZE, 1)
    content = memory.take(SIZE)
    content[:4] = b"mine"
    part = memoryview(content)[:4]
    del content
    other = memory.take(SIZE)
    other[:4] = b"next"
    assert part == b"mine"
    part.release()
    assert isinstance(memory.take(SIZE), memoryview)


def test_beyond_what_is_kept_memory_is_fresh_and_of_the_length_asked() -> None:
    memory = Memory(SIZE, 1)
    held = [memory.take(SIZE) for _ in range(3)]
    assert [type(each) for each in held] == [memoryview, bytearray, bytearray]
    assert type(memory.take(100)) is bytearray
    assert type(memory.take(SIZE + 1)) is bytearray
