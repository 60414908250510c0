from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from server.kernel.offload import Offload
from server.trust.assertions import Asserted, Assertions
from server.trust.conditions import Own, Presented
from server.trust.model import Issuer
from server.trust.refusals import Refusal
from server.trust.store import TrustStore
from storage.sqlite.records import SqliteRecords
from tests.data.assertions import AUDIENCE, ISSUER, NOW, envelope, header_of, signer
from tests.server.audit.recording import Clock

HOME = "urn:oid:1.2.3"
OWN = Own(AUDIENCE, HOME)
RADIOLOGISTS = {"309343006": ("radiologist",), "NUR": ("nurse",), "PAT": ("patient",)}


@dataclass
class Gate:
    """Assertions over one store, and a way to try them."""

    store: TrustStore
    offload: Offload
    runner: asyncio.Runner
    clock: Clock = field(default_factory=lambda: Clock(NOW))

    def __post_init__(self) -> None:
        self.assertions = self.opened()
        self.believe()

    def opened(self) -> Assertions:
        """As another process would have them."""
        return Assertions(self.store, self.clock, self.offload, OWN)

    def believe(self, **others: Any) -> None:
        facts = {"id": ISSUER, "certificates": (signer().pem,), "roles": RADIOLOGISTS, **others}
        self.runner.run(self.store.records.commit([self.store.put(Issuer(**facts))]))

    def takes(self, message: etree._Element, **presented: Any) -> Asserted:
        facts = {"message": header_of(message)[0].text or "", "is_protected": True, **presented}
        asserted, _ = self.runner.run(self.assertions.verify(header_of(message), Presented(**facts)))
        return asserted

    def refuses(self, message: etree._Element, **presented: Any) -> str:
        """The reason, which senders do not hear."""
        with pytest.raises(Refusal) as caught:
            self.takes(message, **presented)
        assert caught.value.reason not in caught.value.text
        return caught.value.reason

    def shown(self, element: etree._Element, **others: Any) -> Asserted:
        return self.takes(envelope(element), **others)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    threads = Offload(io_threads=1, cpu_threads=1)
    records = SqliteRecords(tmp_path / "records.sqlite", threads)
    with asyncio.Runner() as runner:
        yield Gate(TrustStore(records), threads, runner)
        runner.run(records.close())
    threads.close()
