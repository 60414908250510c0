"""`weft demo`: pydicom's sample images and a synthetic ward, in an archive of their own, served on this machine."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import typer

from server.assembly import Services
from server.commands.bring_in import NOTHING_DONE, bring_in
from server.commands.configuration import fail, failing_clearly, opened
from server.commands.demo_guests import APP, REDIRECT, Admitted, admit
from server.kernel.context import LOCAL_ACTOR, Context
from server.serve import run
from server.settings import Settings
from server.ward.load import Ward

_AN_IMAGE = (
    "/studies/1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
    "/series/1.3.6.1.4.1.5962.1.3.1.1.20040119072730.12322"
    "/instances/1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"
)
"""CT_small.dcm."""


def demo(settings: Settings) -> None:
    """Import samples and ward where that is not done yet, let two users in, say what to try, and serve."""
    settings = replace(settings, second_factor="off")
    if not _is_free(settings.host, settings.port):
        fail(f"port {settings.port} is in use: stop what listens there, or choose another (make demo DEMO_PORT=8081)")
    if bring_in(settings, sample_folders(), None, is_quiet=True) == NOTHING_DONE:
        fail("the sample images could not be imported")
    with failing_clearly():
        admitted = asyncio.run(prepare(settings))
    url = f"http://{settings.host}:{settings.port}"
    typer.echo(_words(url) if admitted is None else _who(url, admitted) + _words(url, admitted.token))
    run(settings)


async def prepare(settings: Settings) -> Admitted | None:
    """The ward, and who may see it; nobody in particular where there is no sign-in."""
    async with opened(settings) as services:
        await load_ward(services)
        return None if settings.auth == "off" else await admit(services)


async def load_ward(services: Services) -> bool:
    """Twelve patients and their week up to yesterday; `False` where they are there already."""
    fhir = services.fhir
    ward = Ward(fhir.repository, fhir.transactions, services.store, services.bridge, sample_folders()[0])
    return await ward.load(Context(LOCAL_ACTOR, "ward"), (services.clock.now() - timedelta(days=1)).date())


def sample_folders() -> list[Path]:
    """Where pydicom's wheel keeps real images; found without importing it."""
    found = importlib.util.find_spec("pydicom")
    if found is None or not found.submodule_search_locations:
        fail("pydicom is not installed")
    root = Path(found.submodule_search_locations[0]) / "data"
    return [root / "test_files", root / "charset_files"]


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def _words(url: str, token: str = "") -> str:
    base, fhir = f"{url}/dicomweb", f"{url}/fhir"
    curl = f"curl -s --oauth2-bearer {token}" if token else "curl -s"
    return f"""
Weft serves pydicom's sample images at {base}
and a synthetic ward of twelve patients at {fhir}. Try:

  {curl} '{fhir}/Patient/ward-03?_pretty=true'
  {curl} -o ct.jpg '{base}{_AN_IMAGE}/rendered'
  {curl} '{base}/studies?PatientName=*&limit=5'
  {curl} '{fhir}/Patient?name=%E6%AC%A7%E9%98%B3&_revinclude=ImagingStudy:patient&_pretty=true'
  {curl} '{fhir}/Observation?patient=ward-03&code=8480-6,85354-9&_sort=-date&_count=5&_pretty=true'
  {curl} '{fhir}/Patient/ward-03/$timeline?code=8867-4,8310-5,8480-6&_pretty=true'

Ctrl-C stops it.
"""


def _who(url: str, admitted: Admitted) -> str:
    people = "\n".join(f"  {login:12} {password}" for login, password in admitted.passwords.items())
    return f"""
Nothing is seen without a token. This is the radiologist's, good for an hour:

  export TOKEN={admitted.token}

Who may sign in at {url}/oauth/account (the demonstration asks for no second factor,
and gives other passwords at each start):

{people}

An app of yours: iss {url}/fhir, client_id {APP}, redirect_uri {REDIRECT}
Without sign-in: make demo AUTH=off
"""
