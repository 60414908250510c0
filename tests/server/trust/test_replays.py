"""An assertion counts once for a message and on until its end, whatever is forged meanwhile (XUA, ITI-40)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from server.kernel.problem import Kind, Problem
from server.trust.assertions import Asserted
from server.trust.conditions import Presented
from storage.sqlite.records import SqliteRecords
from tests.data.assertions import AUDIENCE, NOW, Signer, Unsigned, certificate_of, envelope, header_of, signer
from tests.server.trust.asserted import SIGNED, authenticated, restricted
from tests.server.trust.conftest import Gate


def test_a_message_counts_once_and_a_session_goes_on(gate: Gate) -> None:
    assert gate.takes(envelope(SIGNED, message="urn:uuid:1"))
    assert gate.takes(envelope(SIGNED, message="urn:uuid:2"))
    assert gate.refuses(envelope(SIGNED, message="urn:uuid:2")) == "replayed"
    gate.assertions = gate.opened()
    assert gate.refuses(envelope(SIGNED, message="urn:uuid:1")) == "replayed"


def test_messages_without_an_id_count_as_one(gate: Gate) -> None:
    assert gate.takes(envelope(SIGNED, message=""))
    assert gate.refuses(envelope(SIGNED, message="")) == "replayed"


def test_one_time_use_is_one_time(gate: Gate) -> None:
    once = signer().sign(Unsigned(conditions=restricted(AUDIENCE) + "<saml:OneTimeUse/>").text)
    assert gate.takes(envelope(once, message="urn:uuid:1"))
    assert gate.refuses(envelope(once, message="urn:uuid:2")) == "replayed"


def test_what_was_used_is_forgotten_once_it_could_not_come_again(gate: Gate) -> None:
    gate.shown(SIGNED)
    sweep = gate.store.sweep
    assert gate.runner.run(sweep(int((NOW.timestamp() + 600) * 1_000_000))) == 0
    assert gate.runner.run(sweep(int((NOW.timestamp() + 719) * 1_000_000))) == 0
    assert gate.runner.run(sweep(int((NOW.timestamp() + 722) * 1_000_000))) == 1


def test_marks_of_messages_do_not_make_the_records_look_old(gate: Gate, tmp_path: Path) -> None:
    marks = SqliteRecords(tmp_path / "marks.sqlite", gate.offload, is_flushed=False)
    gate.store = replace(gate.store, marks=marks)
    gate.assertions = gate.opened()
    before = gate.runner.run(gate.store.records.revision())
    gate.shown(SIGNED)
    assert gate.runner.run(gate.store.records.revision()) == before
    gate.assertions = gate.opened()
    assert gate.refuses(envelope(SIGNED)) == "replayed"
    gate.runner.run(marks.close())


def test_sessions_without_an_end_and_the_last_moment_there_is(gate: Gate) -> None:
    session = authenticated().replace("AuthnInstant", 'SessionNotOnOrAfter="9999-12-31T23:59:59Z" AuthnInstant')
    assert gate.shown(signer().sign(Unsigned(authentication=session).text))


def test_forgeries_by_the_hundred_do_not_keep_out_those_who_are_known(gate: Gate) -> None:
    gate.shown(SIGNED)
    forged = [signer("mallory").sign(Unsigned(id=f"_f{number}").text) for number in range(80)]

    async def flood() -> tuple[list[BaseException | object], Asserted]:
        sent = [
            asyncio.ensure_future(gate.assertions.verify(header_of(envelope(each)), Presented(str(n), None, True)))
            for n, each in enumerate(forged)
        ]
        known = header_of(envelope(SIGNED, message="urn:uuid:2"))
        asserted, _ = await gate.assertions.verify(known, Presented("urn:uuid:2", None, True))
        return list(await asyncio.gather(*sent, return_exceptions=True)), asserted

    found, asserted = gate.runner.run(flood())
    kinds = {each.kind for each in found if isinstance(each, Problem)}
    assert len(found) == 80
    assert kinds == {Kind.UNAUTHENTICATED, Kind.BUSY}
    assert asserted.subject.value == "dr-a"


def test_what_was_verified_is_verified_again_once_the_certificate_is_over(gate: Gate) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    ending = Signer(key, certificate_of(key, "ending", (-1, 1)))
    gate.clock.moment = NOW + timedelta(days=1) - timedelta(seconds=30)
    gate.believe(certificates=(ending.pem,))
    late = 86_400
    signed = ending.sign(Unsigned(span=(late - 300, late + 300), authentication=authenticated(at=late - 300)).text)
    assert gate.takes(envelope(signed, message="1"))
    gate.clock.moment = NOW + timedelta(days=1, seconds=30)
    assert gate.refuses(envelope(signed, message="2")) == "the signature is not the issuer's"
