"""A server that speaks HTTP and nothing else: it answers everything with an empty page."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LONGEST_READ = 1 << 26


class _Nothing(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        if length <= _LONGEST_READ:
            self.rfile.read(length)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    do_POST = do_PUT = do_OPTIONS = do_DELETE = do_PATCH = do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def running_nothing() -> Iterator[str]:
    """The URL it answers at."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Nothing) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()
