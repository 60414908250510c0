"""`weft demo`: pydicom's sample images and a synthetic ward, in an archive of their own, served on this machine."""

from __future__ import annotations

import asyncio
import importlib.util
import shlex
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from server.assembly import Services
from server.commands.bring_in import NOTHING_DONE, bring_in
from server.commands.configuration import fail, failing_clearly, settings_or_exit
from server.commands.demo_documents import publish, query, with_names
from server.commands.demo_guests import APP, REDIRECT, Admitted, admit
from server.commands.listening import check_machine
from server.commands.options import Auth, Host, Port, alone
from server.commands.over_services import opened
from server.commands.reindex import reindex
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

demonstration = alone()


@demonstration.command()
def demo(
    data: Annotated[Path, typer.Option(help="Folder of the demonstration archive.")] = Path("demo-data"),
    host: Host = None,
    port: Port = None,
    auth: Auth = None,
) -> None:
    """Serve sample images and a synthetic ward.

    From an archive of their own, with two users who may sign in and a token to try things with.
    """
    settings = with_names(replace(settings_or_exit(data=data, host=host, port=port, auth=auth), second_factor="off"))
    check_machine(settings, "choose another (make demo DEMO_PORT=8081)")
    if bring_in(settings, sample_folders(), None, is_quiet=True) == NOTHING_DONE:
        fail("the sample images could not be imported")
    with failing_clearly():
        prepared = asyncio.run(prepare(settings))
        if not prepared.is_keyed:
            reindex(settings, ())
    typer.echo(_words(settings, prepared))
    run(settings)


@dataclass(frozen=True, slots=True)
class Prepared:
    admitted: Admitted | None
    """`None` where there is no sign-in."""
    number: str
    """Master number of a patient of the ward."""
    patient_id: str
    """The same as XDS writes it."""
    is_keyed: bool
    """Whether anybody can see anything: an archive of an earlier demonstration has to be indexed anew."""


async def prepare(settings: Settings) -> Prepared:
    """The ward, what is published of it, and who may see it."""
    async with opened(settings) as services:
        await load_ward(services)
        number = await publish(services)
        admitted = None if settings.auth == "off" else await admit(services)
        authority = services.documents.community.patient_authority
        return Prepared(admitted, number, f"{number}^^^&{authority}&ISO", services.access.is_keyed)


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


def _words(settings: Settings, prepared: Prepared) -> str:
    """What a person reads before anything else."""
    url, admitted = settings.own_url, prepared.admitted
    curl = "curl -s" if admitted is None else 'curl -s --oauth2-bearer "$TOKEN"'
    base, fhir = f"{url}/dicomweb", f"{url}/fhir"
    return f"""
Weft serves until Ctrl-C; any viewer or app works unchanged with:

  DICOMweb   {base}   pydicom's sample images
  FHIR R4    {fhir}       a synthetic ward of twelve patients
  XDS, XCA   {url}/xds        all of it as documents of a region (MHD: {fhir})
{_OPEN if admitted is None else _who(settings, prepared, admitted)}
  {curl} '{fhir}/Patient?name=ouyang&_pretty=true'
  {curl} '{fhir}/Patient/ward-03/$timeline?code=8867-4,8310-5,8480-6&_pretty=true'
  {curl} '{fhir}/Observation?patient=ward-03&code=8480-6,85354-9&_sort=-date&_count=5&_pretty=true'
  {curl} '{base}/studies?PatientName=*&limit=5'
  {curl} -o ct.jpg '{base}{_AN_IMAGE}/rendered'

The documents of a patient, as MHD and as XDS finds them (ITI-67, ITI-18):

  {curl} '{fhir}/DocumentReference?patient=ward-03&status=current&_pretty=true'

{curl} -H 'Content-Type: application/soap+xml' --data-binary @- {url}/xds/registry <<'END'
{query(prepared.patient_id)}
END
"""


_OPEN = """
Nobody is asked for anything (--auth off), and nothing is recorded: for this machine only. Try:
"""


def _who(settings: Settings, prepared: Prepared, admitted: Admitted) -> str:
    url = settings.own_url
    people = "\n".join(f"  {login:12} {password}" for login, password in admitted.passwords.items())
    exported = {**admitted.tokens, "PATIENT": prepared.number}
    exports = "\n".join(f"  export {name}={value}" for name, value in exported.items())
    token = admitted.tokens["TOKEN"]
    return f"""
Nothing is seen without a right. Sign in at {url}/oauth/account (no second factor here, and
other passwords at each start):

{people}

An app of yours: iss {url}/fhir, client_id {APP}, redirect_uri {REDIRECT}

Or use tokens, good for an hour: the radiologist's, one that keeps consents, one that reads the audit trail.
PATIENT is a patient's number in the region; the last two lines are for `weft` itself, on this archive.

{exports}
  export WEFT_DATA={shlex.quote(str(settings.data.resolve()))}
  export WEFT_COMMUNITY={settings.community}

  curl -s --oauth2-bearer {token} '{url}/fhir/Patient/ward-03?_pretty=true'

More, once these lines are pasted (without sign-in at all: make demo AUTH=off):
"""
