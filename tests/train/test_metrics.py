"""The figures, against small cases worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stream.policy import decide
from stream.schema import ABUSE, LABELS, NORMAL, SEXUAL_HARASSMENT
from train.metrics import Scores, Targets, at_budgets, choose_thresholds, measure, softmax


def scores(*rows: tuple[float, float, float]) -> Scores:
    return np.array(rows, np.float32)


def targets(*labels: str) -> Targets:
    return np.array([LABELS.index(label) for label in labels])


EXAMPLES = scores(
    (0.8, 0.1, 0.1),  # 정상, right
    (0.4, 0.5, 0.1),  # 정상, taken for 욕설
    (0.2, 0.7, 0.1),  # 욕설, right
    (0.1, 0.2, 0.7),  # 성희롱, right
    (0.5, 0.1, 0.4),  # 성희롱, missed
)
TRUTH = targets(NORMAL, NORMAL, ABUSE, SEXUAL_HARASSMENT, SEXUAL_HARASSMENT)


def test_the_highest_score_decides_without_thresholds() -> None:
    """Five rows worked out by hand give these figures."""
    report = measure(EXAMPLES, TRUTH)
    assert [[1, 1, 0], [0, 1, 0], [1, 0, 1]] == report["confusion"]
    assert 0.6 == report["accuracy"]
    assert 0.5 == report["false_positive_rate"]
    assert {ABUSE: 1.0, SEXUAL_HARASSMENT: 0.5} == report["detection_rate"]
    assert {"precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "rows": 1} == report[
        "labels"
    ][ABUSE]
    assert pytest.approx((0.5 + 2 / 3 + 2 / 3) / 3) == report["macro_f1"]


def test_thresholds_decide_as_the_worker_does() -> None:
    """With thresholds a flag needs its threshold and needs not be the highest score."""
    report = measure(EXAMPLES, TRUTH, {ABUSE: 0.6, SEXUAL_HARASSMENT: 0.35})
    assert [[2, 0, 0], [0, 1, 0], [0, 0, 2]] == report["confusion"]
    assert 0.0 == report["false_positive_rate"]


def test_nothing_to_measure_gives_zeros() -> None:
    """A label that is absent from truth and decision counts as zero, and raises nothing."""
    report = measure(EXAMPLES[2:3], TRUTH[2:3])
    assert 0.0 == report["false_positive_rate"]
    assert 0.0 == report["labels"][SEXUAL_HARASSMENT]["f1"]


@given(arrays(np.float32, (4, 3), elements=st.floats(-50, 50, width=32)))
def test_softmax_rows_are_probabilities(logits: Scores) -> None:
    """Every row of scores lies in 0 to 1, adds up to 1 and keeps the order of the logits."""
    rows = softmax(logits)
    assert np.all((rows >= 0) & (rows <= 1))
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-5)
    highest = np.take_along_axis(rows, logits.argmax(axis=1)[:, None], axis=1)
    np.testing.assert_array_equal(highest[:, 0], rows.max(axis=1))


@given(
    logits=arrays(
        np.float32, st.tuples(st.integers(1, 60), st.just(3)), elements=st.floats(-2, 2, width=32)
    ),
    budget=st.floats(0.001, 0.999),
)
def test_chosen_thresholds_respect_the_budget(logits: Scores, budget: float) -> None:
    """The worker's decision at the chosen thresholds flags no more 정상 rows than the budget."""
    # Logits within 2 of zero keep every score under the thresholds' ceiling of 0.99.
    rows = softmax(logits)
    thresholds = choose_thresholds(rows, targets(*[NORMAL] * len(rows)), budget)
    flagged = sum(decide(row, thresholds).flagged for row in rows)
    assert flagged <= len(rows) * budget


def test_the_budget_goes_where_it_catches_most() -> None:
    """One false alarm is allowed, and the label whose recall it buys gets it."""
    rows = scores(
        (0.2, 0.7, 0.1),  # the 정상 row that hides the 욕설 row
        (0.5, 0.1, 0.4),  # the 정상 row over whose score every 성희롱 row lies
        (0.3, 0.6, 0.1),
        (0.2, 0.2, 0.6),
    )
    truth = targets(NORMAL, NORMAL, ABUSE, SEXUAL_HARASSMENT)
    assert {ABUSE: 0.3, SEXUAL_HARASSMENT: pytest.approx(0.401)} == choose_thresholds(
        rows, truth, 0.5
    )
    assert {ABUSE: pytest.approx(0.701), SEXUAL_HARASSMENT: pytest.approx(0.401)} == (
        choose_thresholds(rows, truth, 0.4)
    )


def test_a_curve_states_what_each_budget_catches() -> None:
    """Each budget's thresholds come from the first set, its figures from the second."""
    (row,) = at_budgets((EXAMPLES, TRUTH), (EXAMPLES[2:], TRUTH[2:]), [0.5])
    assert choose_thresholds(EXAMPLES, TRUTH, 0.5) == row["thresholds"]
    assert (0.5, 3) == (row["budget"], row["rows"])
    assert {ABUSE: 1.0, SEXUAL_HARASSMENT: 1.0} == row["detection_rate"]


def test_thresholds_have_a_floor_and_a_ceiling() -> None:
    """A threshold is never under 0.3, where another label may be likelier, nor over 0.99."""
    easy = scores((0.98, 0.01, 0.01), (0.9, 0.05, 0.05))
    hopeless = scores((0.0, 0.999, 0.001))
    assert {ABUSE: 0.3, SEXUAL_HARASSMENT: 0.3} == choose_thresholds(
        easy, targets(NORMAL, NORMAL), 0.01
    )
    assert {ABUSE: 0.99, SEXUAL_HARASSMENT: 0.3} == choose_thresholds(
        hopeless, targets(NORMAL), 0.01
    )
