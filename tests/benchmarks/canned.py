"""A Starlette application that answers one file, byte for byte: what the framework alone can do on this machine.

CANNED=answer.json uvicorn tests.benchmarks.canned:app
"""

from __future__ import annotations

import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_BODY = Path(os.environ["CANNED"]).read_bytes() if "CANNED" in os.environ else b"{}"


async def _answer(_: Request) -> Response:
    return Response(_BODY, media_type="application/fhir+json")


app = Starlette(routes=[Route("/{path:path}", _answer)])
