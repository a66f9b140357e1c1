"""Slopes are those of the samples."""

import os

import numpy as np
import pytest

from tests.chaos.usage import Usage, fit


def test_a_straight_line_has_its_slope_and_no_error() -> None:
    """Two units a second are 7200 an hour."""
    line = fit([0, 1, 2, 3], [5, 7, 9, 11])
    assert pytest.approx((8.0, 7200.0, 0.0, 0.0), abs=1e-6) == (
        line.mean,
        line.per_hour,
        line.error,
        line.noise,
    )


def test_noise_is_within_the_error() -> None:
    """A level line under noise has a slope of about its standard error, seldom over three."""
    dice = np.random.default_rng(1)
    fits = [fit(list(range(100)), list(dice.normal(0, 1, 100))) for _ in range(200)]
    assert sum(abs(f.per_hour) > 3 * f.error for f in fits) < 4
    assert pytest.approx(1.0, abs=0.1) == float(np.mean([f.noise for f in fits]))


def test_a_living_process_is_sampled_and_a_dead_one_left_out() -> None:
    """Samples hold memory and descriptors of what lives."""
    usage = Usage(every_seconds=0.0, warm_up_seconds=0.0)
    for _ in range(3):
        usage.sample([("this", os.getpid()), ("gone", 2**22 + 1)])
    (slope,) = usage.slopes(least_seconds=0.0)
    assert ("this", 3) == (slope["worker"], slope["samples"])
