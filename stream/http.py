"""The HTTP port: /metrics, /livez, /readyz. On threads, so it answers while the loop is stuck."""

import threading
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app

from stream.errors import ConfigurationError
from stream.ports import Readiness


def application(registry: CollectorRegistry, readiness: Readiness) -> WSGIApplication:
    """Return the WSGI application of the three paths; any other is 404."""
    metrics: WSGIApplication = make_wsgi_app(registry)

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            return metrics(environ, start_response)
        status, body = "200 OK", "ok"
        if path == "/readyz":
            if missing := readiness.missing():
                status, body = "503 Service Unavailable", "missing: " + ", ".join(missing)
        elif path != "/livez":
            status, body = "404 Not Found", "paths: /metrics /livez /readyz"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [body.encode() + b"\n"]

    return answer


class _Handler(WSGIRequestHandler):
    # A client that says nothing must not hold a thread for ever.
    timeout = 10

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a scrape every few seconds is no news."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class HttpPort:
    """The port, open while the context is. Raises ConfigurationError where it is taken."""

    def __init__(self, host: str, port: int, app: WSGIApplication) -> None:
        try:
            self._server = make_server(host, port, app, _Server, _Handler)
        except OSError as error:
            raise ConfigurationError(
                f"http {host}:{port}: {error.strerror}; set KCGUARD_HTTP_PORT"
            ) from None
        self.address = f"http://{host}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="http", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
