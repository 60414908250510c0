"""A place on loopback that takes notifications and remembers them, for checks of subscriptions."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Heard:
    """One notification."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Listener:
    """`failing`: so many notifications are answered with 503 before one is taken."""

    url: str = ""
    failing: int = 0
    heard: list[Heard] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def waits_for(self, count: int, seconds: float = 20) -> list[Heard]:
        """What was heard once it is so many; what there is when time is up."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while len(self.heard) < count and (left := deadline - time.monotonic()) > 0:
                self.changed.wait(left)
            return list(self.heard)

    def take(self, heard: Heard) -> int:
        """Remember a notification; gives the status to answer with."""
        with self.changed:
            self.heard.append(heard)
            self.changed.notify_all()
            if self.failing > 0:
                self.failing -= 1
                return 503
            return 200


@contextmanager
def listening(host: str = "127.0.0.1") -> Iterator[Listener]:
    listener = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(listener.take(Heard(self.command, self.path, headers, body)))
            self.send_header("content-length", "0")
            self.end_headers()

        do_PUT = do_POST

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer((host, 0), Handler) as server:
        listener.url = f"http://{host}:{server.server_port}/hook"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield listener
        finally:
            server.shutdown()
            thread.join()
