"""One surface as an ASGI application: finds the endpoint, calls it, sends its answer.

This is the hot path of every request, so it is plain ASGI. A `Problem` is rendered by the surface; anything else that
escapes a handler is a fault: logged with its trace and the request's id, answered without details.
"""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from server.http.browser_policy import UNSAID, BrowserPolicy
from server.http.compression import compressed
from server.http.cors import Cors
from server.http.door import Door
from server.http.routing import Match, Router
from server.http.surface import Answer, Call, Endpoint, ProblemRenderer
from server.kernel.answers import AnswerCache
from server.kernel.context import Actor, Context
from server.kernel.ids import new_token
from server.kernel.offload import Offload
from server.kernel.problem import Kind, Problem
from server.kernel.streams import close
from storage.errors import StoreUnavailable

Scope: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]

_PACKED_BYTES = 4 << 20
"""Compressed answers kept; each keeps its plain body alive too, which is some ten times as long."""

_NOBODY = Actor("nobody", "not signed in", ())
"""Until the door has named the actor."""

_log = logging.getLogger("weft.http")
_TOKEN = re.compile(r"[\x21-\x7e]{1,128}")
_HOST = re.compile(r"[A-Za-z0-9_.\-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


class SurfaceApplication:
    """Serves one surface's endpoints below `prefix` (such as `/dicomweb`)."""

    def __init__(
        self,
        *,
        prefix: str,
        endpoints: Sequence[Endpoint],
        problem: ProblemRenderer,
        door: Door,
        cors: Cors,
        offload: Offload,
        base_url: str = "",
        router: Router | None = None,
        policy: BrowserPolicy = UNSAID,
    ) -> None:
        self._prefix = prefix
        self._policy = policy
        self._router = router or Router(endpoints)
        self._problem = problem
        self._door = door
        self._cors = cors
        self._offload = offload
        self._packed = AnswerCache(_PACKED_BYTES)
        self._base_url = base_url.rstrip("/")
        self._run = new_token(4)
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = f"{self._run}-{next(self._numbers):x}"
        call = Call(scope, receive, {}, "", Context(_NOBODY, request_id))
        try:
            answer = await self._answer(call)
        except ConnectionError:
            return
        if origin := call.header("origin"):
            answer.headers += await self._cors.headers(origin, is_public=_is_public(call.endpoint))
        answer.headers.append(("X-Request-Id", request_id))
        if (correlation := call.header("x-request-id")) and _TOKEN.fullmatch(correlation):
            answer.headers.append(("X-Correlation-Id", correlation))
        more = self._policy.missing(answer.headers, is_public=_is_public(call.endpoint))
        await _send(call, answer, more, send)

    async def _answer(self, call: Call) -> Answer:
        try:
            call.base = self._base(call)
            return await compressed(call, await self._dispatch(call), self._offload, self._packed)
        except Problem as problem:
            return self._problem(call, problem)
        except StoreUnavailable as error:
            _log.error("%s: store unavailable: %s", call.context.request_id, error)
            return self._problem(call, Problem(Kind.UNAVAILABLE, "The store cannot be reached.", retry_after=5))
        except ConnectionError:
            raise
        except Exception:
            _log.exception("%s: fault", call.context.request_id)
            text = f"Weft failed on this request; its log tells why under {call.context.request_id}."
            return self._problem(call, Problem(Kind.FAULT, text))

    async def _dispatch(self, call: Call) -> Answer:
        match = self._router.find(call.scope["path"][len(self._prefix) :] or "/")
        if match is None:
            raise Problem(Kind.NOT_FOUND, "No resource has this path.")
        method = "GET" if call.method == "HEAD" else call.method
        endpoint = match.methods.get(method)
        if method == "OPTIONS" and (preflight := await self._preflight(call, match)):
            return preflight
        if endpoint is None:
            allow = {"Allow": ", ".join(_methods(match.methods))}
            if method == "OPTIONS":
                return Answer(204, headers=list(allow.items()))
            raise Problem(Kind.METHOD_NOT_ALLOWED, f"{call.method} is not served here.", headers=allow)
        call.path, call.endpoint = match.path, endpoint
        call.context = await self._door.enter(call, endpoint, call.context.request_id)
        return await self._through_door(call, endpoint)

    async def _preflight(self, call: Call, match: Match) -> Answer | None:
        """The answer to a preflight request of a page, or `None` where the call is none."""
        asked = match.methods.get(call.header("access-control-request-method") or "")
        call.endpoint = asked
        return await self._cors.preflight(call, _methods(match.methods), is_public=_is_public(asked))

    async def _through_door(self, call: Call, endpoint: Endpoint) -> Answer:
        """The handler's answer or problem, once it is recorded."""
        try:
            answer = await endpoint.handler(call)
        except Problem as problem:
            await self._door.leave(call, endpoint, problem)
            raise
        except ConnectionError:
            raise
        except Exception:
            await self._door.leave(call, endpoint, Problem(Kind.FAULT, "Weft failed on this request."))
            raise
        try:
            await self._door.leave(call, endpoint, answer)
        except BaseException:
            await close(answer.body)
            raise
        return answer

    def _base(self, call: Call) -> str:
        if self._base_url:
            return self._base_url + self._prefix
        host = call.header("host") or ""
        if not _HOST.fullmatch(host):
            raise Problem(Kind.INVALID, "The Host header is not a host name.")
        return f"{call.scope['scheme']}://{host}{_port_left_out(call, host)}{self._prefix}"


def _is_public(endpoint: Endpoint | None) -> bool:
    """What says only how to use the server is the same for everybody, so every page may read it."""
    return endpoint is not None and endpoint.interaction == "capabilities"


def _port_left_out(call: Call, host: str) -> str:
    """Some clients (dicomweb-client for one) leave it out of Host; it is known where the host is this very socket."""
    address, port = call.scope.get("server") or (host, None)
    is_here = host.strip("[]") == address or (host == "localhost" and address in ("127.0.0.1", "::1"))
    return f":{port}" if is_here and port not in (None, 80, 443) else ""


def _methods(methods: Mapping[str, Endpoint]) -> list[str]:
    return sorted({*methods, "OPTIONS", *(["HEAD"] if "GET" in methods else [])})


async def _send(call: Call, answer: Answer, more: list[tuple[bytes, bytes]], send: Send) -> None:
    body = answer.body
    headers = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in answer.headers]
    headers += more
    headers.append((b"X-Content-Type-Options", b"nosniff"))
    if answer.media_type:
        headers.append((b"Content-Type", answer.media_type.encode("latin-1")))
    length = answer.length if answer.length is not None else _length(body)
    if length is not None and answer.status not in (204, 304):
        headers.append((b"Content-Length", b"%d" % length))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if call.method == "HEAD":
        await close(body)
        await send({"type": "http.response.body"})
    elif isinstance(body, list):
        for piece in body[:-1]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": body[-1] if body else b""})
    elif isinstance(body, bytes | bytearray | memoryview):
        await send({"type": "http.response.body", "body": body})
    else:
        try:
            async for piece in body:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body"})
        finally:
            await close(body)


def _length(body: Any) -> int | None:
    if isinstance(body, list):
        return sum(len(piece) for piece in body)
    if isinstance(body, bytes | bytearray | memoryview):
        return len(body)
    return None
