"""The assembly: `build_app(settings)` gives the ASGI application, the only place that knows every surface."""

from __future__ import annotations

import gc
import logging
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from server.assembly import Services, open_services
from server.audit.metrics import MEDIA_TYPE, exposition
from server.auditing import figures
from server.dicomweb import problems
from server.fhir.publishing import publish
from server.fhir_rest import problems as fhir_problems
from server.http import browser_policy
from server.http.application import Receive, Scope, Send, SurfaceApplication
from server.http.cors import Cors
from server.http.routing import Router
from server.http.surface import Endpoint, ProblemRenderer
from server.ihe.door import SoapDoor
from server.kernel.context import LOCAL_ACTOR, Context
from server.kernel.supervision import supervised
from server.oauth.start_page import PATH as START
from server.settings import Settings, is_loopback, read_settings
from server.smart.site import DICOMWEB, FHIR, OAUTH
from server.soap.surface import SoapSurface

_LOCAL_HOST = re.compile(rb"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?", re.IGNORECASE)
_MISDIRECTED = PlainTextResponse(
    "Weft listens on this machine and answers only to localhost. Behind a proxy, set WEFT_BASE_URL to the URL clients"
    " use.\n",
    421,
)

_STARTING = Context(LOCAL_ACTOR, "start")

_log = logging.getLogger("weft")


class Weft:
    """Hands each request to its surface; whatever belongs to none goes to a small Starlette application.

    The surfaces are plain ASGI and found by prefix, because they answer thousands of requests a second.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._is_for_this_machine = is_loopback(settings.host) and not settings.base_url
        self._surfaces: dict[str, SurfaceApplication] = {}
        self._services: Services | None = None
        self._rest = Starlette(
            routes=[
                Route("/", self._home),
                Route("/healthz", self._healthy),
                Route("/readyz", self._ready),
                Route("/metrics", self._metrics),
            ],
            lifespan=self._lifespan,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if self._is_for_this_machine and not is_addressed_locally(scope):
                await _MISDIRECTED(scope, receive, send)  # type: ignore[arg-type]
                return
            surface = self._surfaces.get("/" + scope["path"].split("/", 2)[1])
            if surface is not None:
                await surface(scope, receive, send)
                return
        await self._rest(scope, receive, send)  # type: ignore[arg-type]

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        services = await open_services(self._settings)
        self._services = services
        self._surfaces.update(surfaces_of(services, self._settings))
        _collect_garbage_seldom()
        try:
            await publish(services.fhir.repository, _STARTING)
            async with supervised(services.workers()):
                yield
        finally:
            self._surfaces.clear()
            await services.close()

    async def _home(self, request: Request) -> Response:
        """What is here: a page for a person, addresses for a program."""
        if OAUTH in self._surfaces and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(self._settings.base_url.rstrip("/") + OAUTH + START, 303, {"Vary": "Accept"})
        base = self._settings.base_url.rstrip("/") or str(request.base_url).rstrip("/")
        surfaces = {prefix[1:]: base + prefix for prefix in self._surfaces}
        return JSONResponse({"name": "Weft", **surfaces, "health": base + "/healthz"}, headers={"Vary": "Accept"})

    async def _healthy(self, _: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _ready(self, _: Request) -> Response:
        """Ready when records can be read and acts be recorded (a load balancer asks this before it sends requests)."""
        if self._services is None:
            return PlainTextResponse("starting\n", 503)
        try:
            await self._services.stores.records.get("study", ["readiness"])
        except Exception:
            _log.exception("not ready")
            return PlainTextResponse("the store cannot be reached\n", 503)
        audit = self._services.audit
        if audit is not None and audit.recorder.is_failing and self._settings.audit_failure == "refuse":
            return PlainTextResponse("the audit journal cannot be written\n", 503)
        return PlainTextResponse("ready\n")

    async def _metrics(self, _: Request) -> Response:
        """Counts for monitoring, of nobody in particular; there are none without an audit trail."""
        if self._services is None or self._services.audit is None:
            return PlainTextResponse("there is nothing to measure\n", 404)
        told = exposition(await figures(self._services.audit, self._services.stores.records))
        return Response(told, media_type=MEDIA_TYPE)


def surfaces_of(services: Services, settings: Settings) -> dict[str, SurfaceApplication]:
    """Each surface by its prefix. Without sign-in there is no authorization server, and nothing is recorded."""
    found = {DICOMWEB: dicomweb_surface(services, settings), FHIR: fhir_surface(services, settings)}
    if settings.auth != "off":
        found[OAUTH] = oauth_surface(services, settings)
    door = services.soap_door()
    for surface in (services.messaging.xds(door), services.messaging.xca(door)):
        found["/" + surface.name] = soap_surface(surface, door, services, settings)
    return found


def soap_surface(
    surface: SoapSurface, door: SoapDoor | None, services: Services, settings: Settings
) -> SurfaceApplication:
    prefix, endpoints = "/" + surface.name, surface.endpoints()
    return _application(services, settings, prefix, surface.problem, endpoints, door=door)


def dicomweb_surface(services: Services, settings: Settings) -> SurfaceApplication:
    return _application(services, settings, DICOMWEB, problems.render, services.dicomweb().endpoints())


def fhir_surface(services: Services, settings: Settings) -> SurfaceApplication:
    documents = services.smart.documents().fhir_endpoints() if settings.auth != "off" else ()
    router = services.fhir_rest().router(documents)
    return _application(services, settings, FHIR, fhir_problems.render, router=router)


def oauth_surface(services: Services, settings: Settings) -> SurfaceApplication:
    oauth = services.oauth()
    return _application(services, settings, OAUTH, oauth.problem, oauth.endpoints())


def _application(
    services: Services,
    settings: Settings,
    prefix: str,
    problem: ProblemRenderer,
    endpoints: Sequence[Endpoint] = (),
    *,
    router: Router | None = None,
    door: SoapDoor | None = None,
) -> SurfaceApplication:
    """A surface with what all of them are given alike."""
    return SurfaceApplication(
        prefix=prefix,
        endpoints=endpoints,
        router=router,
        problem=problem,
        door=door or services.door,
        cors=_cors(services, settings),
        offload=services.offload,
        base_url=settings.base_url,
        policy=_policy(settings),
    )


def _policy(settings: Settings) -> browser_policy.BrowserPolicy:
    if settings.auth == "off":
        return browser_policy.UNSAID
    return browser_policy.closed(only_https=settings.own_url.startswith("https:"))


def _cors(services: Services, settings: Settings) -> Cors:
    is_registered = services.smart.origins.is_registered if settings.auth != "off" else None
    return Cors.parse(settings.cors_origins, is_registered)


def is_addressed_locally(scope: Scope) -> bool:
    """Whether the Host header names this machine.

    Loopback is all that protects an archive without sign-in; a page whose own name has been made to point to loopback
    (DNS rebinding) would reach it through the visitor's browser, but cannot change this header. With sign-in, the
    server's own URLs are made from it where no setting tells them.
    """
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    return _LOCAL_HOST.fullmatch(host) is not None


def build_app(settings: Settings) -> Weft:
    return Weft(settings)


def from_environment() -> Weft:
    """The factory each worker process calls."""
    return build_app(read_settings())


def _collect_garbage_seldom() -> None:
    """Requests make many short-lived containers and no cycles; a rarer collection takes its pauses off the hot path."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
