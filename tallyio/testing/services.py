"""Small services on loopback: one that keeps what it is sent, one that refuses, one that never answers.

Layer: testing.
"""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

HOST = "127.0.0.1"


class HttpService(NamedTuple):
    """A service that is up."""

    port: int
    bodies: list[str]
    """What was posted, decoded as UTF-8, in order."""


@contextmanager
def open_http_service(*, status: int = 200) -> Iterator[HttpService]:
    """Run a service that answers each POST with `status`."""
    with _running(status, None) as service:
        yield service


@contextmanager
def open_hanging_service() -> Iterator[HttpService]:
    """Run a service that takes each POST and does not answer before the end of the context."""
    ended = threading.Event()
    with _running(200, ended) as service:
        try:
            yield service
        finally:
            ended.set()


@contextmanager
def _running(status: int, ended: threading.Event | None) -> Iterator[HttpService]:
    bodies: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            bodies.append(body.decode(errors="replace"))
            if ended is not None:
                ended.wait()
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer((HOST, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield HttpService(server.server_address[1], bodies)
        finally:
            if ended is not None:
                ended.set()
            server.shutdown()
            thread.join()
