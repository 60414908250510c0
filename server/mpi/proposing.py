"""Proposals: two Patients that may be one person, kept once for each pair until somebody decides.

Rejected ones stay, so that the same pair is not proposed again and again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import islice, product

from server.mpi.stored import PROPOSALS, Act, Proposal, put
from storage.ports import Put, Records

REVIEW = "review"
"""Grade of a proposal that a number makes and something else denies."""
OPEN, CONFIRMED, REJECTED = "open", "confirmed", "rejected"
_MOST = 256


def proposal_id(pair: tuple[str, str]) -> str:
    """The same whichever is named first."""
    return hashlib.sha256(" ".join(sorted(pair)).encode()).hexdigest()[:32]


def proposed(
    pair: tuple[str, str], reasons: tuple[str, ...], at: int, *, score: float = 0.5, grade: str = REVIEW
) -> Proposal:
    one, other = sorted(pair)
    return Proposal((one, other), score, grade, reasons, at)


def kept_put(proposal: Proposal, expected: int | None) -> Put:
    return put(
        PROPOSALS,
        proposal_id(proposal.patients),
        proposal,
        expected,
        status=(proposal.status,),
        at=(proposal.at,),
        patient=proposal.patients,
    )


async def new_ones(records: Records, proposals: Sequence[Proposal]) -> list[Put]:
    """Those of pairs that have none yet: what was decided stays decided. Of several of one pair the first counts."""
    ids = {proposal_id(each.patients): each for each in reversed(proposals)}
    known = {each.id for each in await records.get(PROPOSALS, list(ids))} if ids else set()
    return [kept_put(each, 0) for id, each in ids.items() if id not in known]


def rejections(some: Sequence[str], others: Sequence[str], act: Act) -> list[Put]:
    """Of Patients that were parted: what resembles is not to bring them together again."""
    pairs = (sorted(pair) for pair in islice(product(some, others), _MOST))
    return [
        kept_put(Proposal((one, other), 0, REVIEW, (), act.at, REJECTED, act.by, act.at, act.why), None)
        for one, other in pairs
    ]
