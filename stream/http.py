"""The HTTP port: /metrics, /livez, /readyz. On threads, so it answers while the loop is stuck."""

import hmac
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
from stream.progress import Progress


def application(
    registry: CollectorRegistry,
    readiness: Readiness,
    progress: Progress,
    token: str | None = None,
) -> WSGIApplication:
    """Return the WSGI application of the three paths; any other is 404.

    With a `token` /metrics wants it as `Authorization: Bearer`. The probes answer anybody: they
    tell one state each, and a kubelet has no secret to show.
    """
    metrics: WSGIApplication = make_wsgi_app(registry)

    def allowed(environ: WSGIEnvironment) -> bool:
        if token is None:
            return True
        shown = environ.get("HTTP_AUTHORIZATION", "")
        # Compared in constant time; bytes, because a header may hold any Latin-1 character.
        return hmac.compare_digest(shown.encode(), f"Bearer {token}".encode())

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics" and allowed(environ):
            return metrics(environ, start_response)
        status, body = "200 OK", "ok"
        headers = [("Content-Type", "text/plain; charset=utf-8")]
        if path == "/readyz":
            if missing := readiness.missing():
                status, body = "503 Service Unavailable", "missing: " + ", ".join(missing)
        elif path == "/livez":
            if stalled := progress.stalled():
                status, body = "503 Service Unavailable", f"no progress: {stalled}"
        elif path == "/metrics":
            status, body = "401 Unauthorized", "give the token: Authorization: Bearer TOKEN"
            headers.append(("WWW-Authenticate", "Bearer"))
        else:
            status, body = "404 Not Found", "paths: /metrics /livez /readyz"
        start_response(status, headers)
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
