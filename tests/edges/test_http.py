"""The HTTP port."""

import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry

from stream.errors import ConfigurationError
from stream.http import HttpPort, application
from stream.metrics import Metrics
from stream.ports import Readiness


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_three_paths() -> None:
    """/livez is up, /readyz names what is missing until nothing is, /metrics is Prometheus text."""
    registry, readiness = CollectorRegistry(), Readiness()
    Metrics(registry, readiness)
    with HttpPort("127.0.0.1", 0, application(registry, readiness)) as port:
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


def test_a_taken_port_is_a_clear_error() -> None:
    """A port in use ends in an error that names the setting."""
    app = application(CollectorRegistry(), Readiness())
    with HttpPort("127.0.0.1", 0, app) as port:
        taken = int(port.address.rsplit(":", 1)[1])
        with pytest.raises(ConfigurationError, match="KCGUARD_HTTP_PORT"):
            HttpPort("127.0.0.1", taken, app)
