"""The promises of delivery, on a real Kafka, while things break."""

import pytest

from tests.chaos.schedule import QUICK, schedule
from tests.chaos.session import Plan, run
from tests.kafka.fixtures import go_without
from tests.kafka.locate import KafkaUnavailableError


@pytest.mark.kafka
def test_ten_faults_lose_nothing() -> None:
    """Through ten kinds of faults every flag comes, in order and with one id, and all recovers."""
    faults = schedule(7, len(QUICK), workers=3, session_seconds=6.0, kinds=QUICK)
    try:
        report = run(Plan(faults=list(faults), seed=7))
    except KafkaUnavailableError as error:
        go_without(str(error))

    assert [] == report["failures"]
    assert dict.fromkeys(QUICK, 1) == report["faults_by_kind"]
    assert report["expected_flags"] > 0
    assert report["expected_dead_letters"] > 0
