"""The gate's arithmetic."""

import numpy as np
import pytest

from export.parity import GATES, Gate, Parity, compare
from stream.bundle import Precision
from stream.schema import ABUSE, SEXUAL_HARASSMENT

THRESHOLDS = {ABUSE: 0.5, SEXUAL_HARASSMENT: 0.5}


def test_two_sets_of_logits_are_compared_by_decision() -> None:
    """Of two texts whose logits moved, the one that crossed its threshold counts as another."""
    trained = np.array([[2, 0, 0], [0, 0.9, 0]], np.float32)
    served = np.array([[1.5, 0, 0], [0, 0.5, 0]], np.float32)
    # 욕설 had e^0.9 / (e^0.9 + 2) = 0.55 and has e^0.5 / (e^0.5 + 2) = 0.45.
    assert Parity(2, 0.5, 0.5) == compare(trained, served, THRESHOLDS)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_equal_models_pass(precision: Precision) -> None:
    """A model that answers exactly as the trained one passes the gate of every precision."""
    assert [] == GATES[precision].failures(Parity(10, 0.0, 1.0))


def test_a_failure_says_what_was_needed() -> None:
    """Each condition that is missed is named with the value found and the value needed."""
    gate = Gate(max_logit_difference=0.001, equal_decisions=0.995)
    assert [
        "a logit is off by 0.25, allowed is 0.001",
        "98.50% of 200 decisions are equal, needed are 99.50%",
    ] == gate.failures(Parity(200, 0.25, 0.985))


def test_a_model_that_answers_nonsense_fails() -> None:
    """A difference that is not a number passes no gate."""
    gate = Gate(max_logit_difference=0.001, equal_decisions=0.0)
    assert 1 == len(gate.failures(Parity(1, float("nan"), 1.0)))
