"""DELETE of a study, series or instance: not in PS3.18, but what archives commonly offer beside it.

204 when it is gone for good, 404 where there is nothing to delete.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.archive.remove import Remover
from server.dicomweb import paths
from server.http.surface import Answer, Call, Endpoint

_CLAUSE = "extension of PS3.18 10"


@dataclass(frozen=True, slots=True)
class Deletion:
    remover: Remover

    def endpoints(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint("delete.study", "DELETE", paths.STUDY, "delete", self.delete, _CLAUSE),
            Endpoint("delete.series", "DELETE", paths.SERIES, "delete", self.delete, _CLAUSE),
            Endpoint("delete.instance", "DELETE", paths.INSTANCE, "delete", self.delete, _CLAUSE),
        )

    async def delete(self, call: Call) -> Answer:
        study, series, instance = paths.level_of(call)
        await self.remover.remove(call.context, study, series, instance)
        return Answer(204)
