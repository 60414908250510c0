"""Documents this server makes by the hundred, provided many in one commit; each still has a submission set of its own.

All is new here, or nothing is written: whoever meets a record of these documents provides them one by one, as others
do. Their content is not examined, since it is ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from server.kernel.context import Context
from server.kernel.finishing import finished
from server.kernel.measuring import Received
from server.kernel.problem import Problem
from server.xds.community import Community
from server.xds.contents import Contents, entered, keeping
from server.xds.metadata import Submission
from server.xds.provided import completed
from server.xds.registry import Registry
from storage.errors import VersionConflict
from storage.ports import Bytes, Delete, Put


class Made(NamedTuple):
    """A submission of one document, and its octets."""

    submission: Submission
    octets: Bytes


@dataclass(frozen=True, slots=True)
class Providing:
    contents: Contents
    registry: Registry
    community: Community

    async def provide_all(
        self, context: Context, made: Sequence[Made], *, act: str, beside: Sequence[Put | Delete]
    ) -> None:
        """`VersionConflict` or `Problem` where another writer came between: then nothing was done."""
        refs = await self.contents.blobs.put_all([each.octets for each in made])
        received = [Received(ref, _sha1(each.octets)) for ref, each in zip(refs, made, strict=True)]
        try:
            await finished(self._register(context, made, received, act, beside))
        finally:
            await finished(self.contents.discard(received))

    async def _register(
        self,
        context: Context,
        made: Sequence[Made],
        received: Sequence[Received],
        act: str,
        beside: Sequence[Put | Delete],
    ) -> None:
        whole, acts, named = [], list(beside), {}
        for each, content in zip(made, received, strict=True):
            (entry,) = each.submission.documents
            whole.append(completed(each.submission, {entry.id: content}, self.community.repository))
            acts.append(entered(entry.unique_id, content, 0))
            named[entry.unique_id] = content
        try:
            with keeping(received):
                await self.registry.register_all(context, whole, act=act, beside=acts)
        except (Problem, VersionConflict):
            await self._keep_registered(named)
            raise

    async def _keep_registered(self, named: Mapping[str, Received]) -> None:
        """A store that tries again what it had written already tells of a conflict, with its own records."""
        doubtful = {name: each for name, each in named.items() if not each.is_kept}
        with keeping(doubtful.values()):
            held = await self.contents.find(list(doubtful))
        for name, content in doubtful.items():
            content.is_kept = name in held and held[name].ref == content.ref


def _sha1(octets: Bytes) -> str:
    # What XDS compares documents by (TF-3 4.2.3.2.10); nothing secret rests on it.
    return hashlib.sha1(octets, usedforsecurity=False).hexdigest()
