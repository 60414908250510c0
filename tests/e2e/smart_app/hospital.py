"""A hospital that opens itself to apps: its records, its own system that launches apps, and where an app is served."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.e2e.running import Place
from tests.e2e.smart import ward
from tests.server.commands.administering import told
from tests.server.smart.keeping import ClientKey


def hospital(folder: Path) -> Place:
    """Three patients, two of them with images; nobody is let in yet."""
    place = Place("sqlite+folder", folder / "data", {"WEFT_AUTH": "smart", "WEFT_CORS_ORIGINS": ""})
    place.data.mkdir()
    ward.write(folder / "in")
    told(place.data, "import", str(folder / "in"))
    return place


def let_in_service(place: Place, id: str, key: ClientKey, scope: str, *more: str) -> None:
    """A system that proves itself with this key."""
    file = place.data.parent / f"{id}.jwks"
    file.write_text(json.dumps({"keys": [key.public]}))
    proof = ("--backend", "--by", "key", "--jwks", str(file))
    told(place.data, "client", "add", id, "--id", id, "--scope", scope, *proof, *more)


@contextmanager
def hosting(folder: Path) -> Iterator[str]:
    """The URL of an app's own server: another origin than Weft's."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test tells what went wrong."""
