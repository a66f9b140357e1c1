"""The HTTP port."""

import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry

from stream.errors import ConfigurationError
from stream.http import HttpPort, application
from stream.metrics import Metrics
from stream.ports import Readiness
from stream.progress import Progress


def get(url: str, token: str | None = None) -> tuple[int, str]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=10
        ) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_three_paths() -> None:
    """/livez is up, /readyz names what is missing until nothing is, /metrics is Prometheus text."""
    registry, readiness = CollectorRegistry(), Readiness()
    Metrics(registry, readiness)
    with HttpPort("127.0.0.1", 0, application(registry, readiness, Progress(60.0))) as port:
        assert (200, "ok\n") == get(port.address + "/livez")
        assert (503, "missing: warm, assigned\n") == get(port.address + "/readyz")
        readiness.warm = True
        readiness.assigned = lambda: True
        assert (200, "ok\n") == get(port.address + "/readyz")
        status, text = get(port.address + "/metrics")
        assert 404 == get(port.address + "/other")[0]

    assert 200 == status
    assert "kcguard_ready 1.0" in text
    assert 'kcguard_flags_total{label="sexual_harassment"} 0.0' in text


def test_livez_falls_while_nothing_moves() -> None:
    """/livez names the step that has been under way for too long, until it ends."""
    now = [0.0]
    progress = Progress(60.0, now=lambda: now[0])
    app = application(CollectorRegistry(), Readiness(), progress)
    with HttpPort("127.0.0.1", 0, app) as port:
        with progress.step("judge"):
            now[0] = 61.0
            assert (503, "no progress: judge for 61 s\n") == get(port.address + "/livez")
        assert (200, "ok\n") == get(port.address + "/livez")


def test_metrics_can_ask_for_a_token() -> None:
    """With a token /metrics answers who shows it and nobody else; the probes answer anybody."""
    app = application(CollectorRegistry(), Readiness(), Progress(60.0), token="open sesame")
    with HttpPort("127.0.0.1", 0, app) as port:
        metrics = port.address + "/metrics"
        statuses = [get(metrics, token)[0] for token in (None, "open", "caf\u00e9", "open sesame")]
        assert [401, 401, 401, 200] == statuses
        assert 200 == get(port.address + "/livez")[0]


def test_a_taken_port_is_a_clear_error() -> None:
    """A port in use ends in an error that names the setting."""
    app = application(CollectorRegistry(), Readiness(), Progress(60.0))
    with HttpPort("127.0.0.1", 0, app) as port:
        taken = int(port.address.rsplit(":", 1)[1])
        with pytest.raises(ConfigurationError, match="KCGUARD_HTTP_PORT"):
            HttpPort("127.0.0.1", taken, app)
