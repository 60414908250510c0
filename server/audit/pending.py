"""Events of writes wait among the records: put there by the very commit that makes the write, so neither is without the
other."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from server.audit.chain import Draft, Kind
from server.audit.event import Event
from server.kernel.ids import new_token
from storage.ports import Put, Record

PENDING = "audit-pending"
_ID = 32

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Event)


def encode(event: Event) -> bytes:
    return _encoder.encode(event)


def decode(body: bytes) -> Event:
    return _decoder.decode(body)


def acts(events: Sequence[Event]) -> tuple[Put, ...]:
    """For the commit of the write itself. Ids sort by time."""
    return tuple(Put(PENDING, f"{event.recorded:016x}{new_token()}", encode(event), expected=0) for event in events)


def waits_since(id_: str) -> int:
    """Microseconds since 1970, as its id tells; 0 for an id of another form, which is then taken for the oldest."""
    try:
        return int(id_[:16], 16)
    except ValueError:
        return 0


def draft(record: Record) -> Draft:
    """What is written to the chain: with the id it waited under, so that after a crash it is not written again."""
    return Draft(Kind.WRITTEN, record.id.encode() + record.body)


def taken_id(body: bytes) -> str:
    return body[:_ID].decode()


def taken_event(body: bytes) -> Event:
    return decode(body[_ID:])
