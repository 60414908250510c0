"""Symbolic ids become UUIDs, the same one wherever they stand; UUIDs that were sent are kept (TF-2 3.42.4.1.3.7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from server.xds.errors import RegistryError
from server.xds.metadata import Submission

_URN = "urn:uuid:"


@dataclass(frozen=True, slots=True)
class Settled:
    """A submission with UUIDs throughout."""

    submission: Submission
    given: tuple[str, ...]
    """Those its sender chose."""
    sent: Mapping[str, str]
    """What the sender called each object."""

    def told(self, errors: Iterable[RegistryError]) -> list[RegistryError]:
        """Errors with the sender's names for locations."""
        return [replace(each, location=self.sent.get(each.location, each.location)) for each in errors]


def settle(submission: Submission, new_id: Callable[[], str]) -> Settled:
    """`new_id` gives a UUID without its prefix. What an association names outside the message stays as it is."""
    sent = [
        *(each.id for each in submission.submission_sets),
        *(each.id for each in submission.documents),
        *(each.id for each in submission.folders),
        *(each.id for each in submission.associations if each.id),
    ]
    names = {each: each if each.startswith(_URN) else _URN + new_id() for each in sent}
    settled = replace(
        submission,
        submission_sets=tuple(replace(each, id=names[each.id]) for each in submission.submission_sets),
        documents=tuple(replace(each, id=names[each.id]) for each in submission.documents),
        folders=tuple(replace(each, id=names[each.id]) for each in submission.folders),
        associations=tuple(
            replace(
                each,
                id=names[each.id] if each.id else _URN + new_id(),
                source=names.get(each.source, each.source),
                target=names.get(each.target, each.target),
            )
            for each in submission.associations
        ),
    )
    given = tuple(each for each in names if each.startswith(_URN))
    return Settled(settled, given, {made: each for each, made in names.items()})


def together(settled: Sequence[Settled]) -> Settled:
    """Several as one, for what is asked of all their objects at once."""
    if len(settled) == 1:
        return settled[0]
    made = [each.submission for each in settled]
    whole = Submission(
        tuple(each for one in made for each in one.submission_sets),
        tuple(each for one in made for each in one.documents),
        tuple(each for one in made for each in one.folders),
        tuple(each for one in made for each in one.associations),
    )
    sent = {name: called for each in settled for name, called in each.sent.items()}
    return Settled(whole, tuple(name for each in settled for name in each.given), sent)
