"""The metrics, as Prometheus reads them."""

from prometheus_client import CollectorRegistry

from stream.metrics import Metrics
from stream.ports import Readiness


def test_second_views_and_the_verdicts_they_changed_are_counted() -> None:
    """Every second view counts once, and once more where it changed the verdict."""
    registry = CollectorRegistry()
    metrics = Metrics(registry, Readiness())
    metrics.second_view(changed=False)
    metrics.second_view(changed=True)

    assert 2.0 == registry.get_sample_value("kcguard_second_views_total")
    assert 1.0 == registry.get_sample_value("kcguard_second_view_verdicts_total")
