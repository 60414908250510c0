"""`weft demo`: pydicom's sample images, in an archive of their own, served on this machine."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path

import typer

from server.commands.bring_in import NOTHING_DONE, bring_in
from server.commands.configuration import fail
from server.serve import run
from server.settings import Settings

_AN_IMAGE = (
    "/studies/1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
    "/series/1.3.6.1.4.1.5962.1.3.1.1.20040119072730.12322"
    "/instances/1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"
)
"""CT_small.dcm."""


def demo(settings: Settings) -> None:
    """Import the samples where that is not done yet, say what to try, and serve."""
    if not _is_free(settings.host, settings.port):
        fail(f"port {settings.port} is in use: stop what listens there, or choose another (make demo DEMO_PORT=8081)")
    if bring_in(settings, sample_folders(), None, is_quiet=True) == NOTHING_DONE:
        fail("the sample images could not be imported")
    typer.echo(_words(f"http://{settings.host}:{settings.port}"))
    run(settings)


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


def _words(url: str) -> str:
    base = f"{url}/dicomweb"
    return f"""
Weft serves pydicom's sample images at {base}

  all studies          {base}/studies
  an image to look at  {base}{_AN_IMAGE}/rendered

Try:
  curl -s '{base}/studies?PatientName=*&limit=5'

Ctrl-C stops it.
"""
