"""The worker as a child process: started, waited for, watched over HTTP, stopped."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from stream.demo import processes

COMMAND: Final = (sys.executable, "-m", "stream", "run")
_HOST: Final = "127.0.0.1"
# Verifying the bundle and warming up take under 3 s; the rest is for a machine that is busy.
_READY_S: Final = 60.0
_STOP_S: Final = 15.0
_LOG_TAIL: Final = 20


class WorkerFailedError(Exception):
    """The worker ended, or did not become ready; the message holds the end of its log."""


class Worker:
    """A running worker. Not for use by several threads."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self._process = process
        self._log = log
        self._asked_to_stop = False
        self._port = port
        self.metrics_url = f"http://{_HOST}:{port}/metrics"

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def check(self) -> None:
        """Raise WorkerFailedError where the worker has ended."""
        if not self.running:
            raise WorkerFailedError(self._obituary(f"ended, exit code {self._process.returncode}"))

    def records_read(self) -> int | None:
        """Return how many records the worker has dealt with, or None where it does not say."""
        page = _get(self._port, "/metrics")
        return None if page is None else int(total(page, "kcguard_records_total"))

    def ask_to_stop(self) -> None:
        """Send SIGTERM, once: the second signal would skip the draining."""
        if not self._asked_to_stop:
            self._asked_to_stop = True
            self._process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """End the worker within a bound and return its exit code, negative for a signal."""
        self.ask_to_stop()
        return processes.finish(self._process, _STOP_S)

    def wait_until_ready(self, within_s: float) -> None:
        """Return when /readyz answers 200; raise WorkerFailedError where it does not in time."""
        deadline = time.monotonic() + within_s
        while _get(self._port, "/readyz") is None:
            self.check()
            if time.monotonic() > deadline:
                raise WorkerFailedError(self._obituary(f"was not ready after {within_s:.0f} s"))
            time.sleep(0.1)

    def _obituary(self, what: str) -> str:
        tail = self._log.read_text(errors="replace").splitlines()[-_LOG_TAIL:]
        return "\n".join([f"the worker {what}; the end of its log:", *tail])


@contextmanager
def running_worker(
    settings: Mapping[str, str],
    command: Sequence[str] = COMMAND,
    ready_within_s: float = _READY_S,
) -> Iterator[Worker]:
    """Start a worker with `settings` in its environment, and yield it when it is ready.

    Raises WorkerFailedError. The process and its log are gone when the context ends.
    """
    port = _free_port()
    environment = {**os.environ, **settings, "KCGUARD_HTTP_PORT": str(port)}
    environment["KCGUARD_HTTP_HOST"] = _HOST
    with tempfile.TemporaryDirectory(prefix="kcguard-demo-") as directory:
        log = Path(directory) / "worker.log"
        with log.open("wb") as sink:
            process = processes.start(
                command, stdout=sink, stderr=subprocess.STDOUT, environment=environment
            )
        worker = Worker(process, port, log)
        try:
            worker.wait_until_ready(ready_within_s)
            yield worker
        finally:
            worker.stop()


def total(exposition: str, name: str) -> float:
    """Return the sum of a metric's samples, over all labels, in Prometheus' text format.

    `name` must match whole: `x_total` takes no sample of `x_total_created`. 0 where there is none.
    """
    sample = re.compile(rf"^{re.escape(name)}(?:\{{.*\}})? (\S+)", re.MULTILINE)
    return sum(float(value) for value in sample.findall(exposition))


def _free_port() -> int:
    # Somebody else could take it before the worker does; the worker then ends and says so.
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _get(port: int, path: str) -> str | None:
    """Return the page, or None where there is no answer 200 within a second."""
    # Not urllib: it would ask a proxy from the environment for our own loopback address.
    with closing(HTTPConnection(_HOST, port, timeout=1.0)) as connection:
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            page = response.read().decode()
        except (HTTPException, OSError):
            return None
    return page if response.status == HTTPStatus.OK else None
