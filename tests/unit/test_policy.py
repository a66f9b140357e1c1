"""Decisions, packing and limits: the pure rules."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stream.batching import pack
from stream.errors import ConfigurationError, DeadLetterLimitError
from stream.limits import DeadLetterLimit
from stream.policy import decide, decide_views, parse_policy, skip_reason
from stream.schema import (
    ABUSE,
    FLAGGED_LABELS,
    LABELS,
    NORMAL,
    SEXUAL_HARASSMENT,
    Speaker,
    Utterance,
)
from tests import build

HALVES = {ABUSE: 0.5, SEXUAL_HARASSMENT: 0.5}


@pytest.mark.parametrize(
    ("scores", "thresholds", "expected"),
    [
        ((0.9, 0.05, 0.05), HALVES, NORMAL),
        ((0.1, 0.8, 0.1), HALVES, ABUSE),
        ((0.1, 0.1, 0.8), HALVES, SEXUAL_HARASSMENT),
        ((0.4, 0.5, 0.1), HALVES, ABUSE),
        ((0.34, 0.33, 0.33), HALVES, NORMAL),
        ((0.2, 0.35, 0.45), {ABUSE: 0.3, SEXUAL_HARASSMENT: 0.3}, SEXUAL_HARASSMENT),
        ((0.2, 0.35, 0.45), {ABUSE: 0.3, SEXUAL_HARASSMENT: 0.6}, ABUSE),
    ],
)
def test_the_likelier_label_over_its_threshold_wins(
    scores: tuple[float, ...], thresholds: dict[str, float], expected: str
) -> None:
    """A label is flagged from its threshold on; of two, the likelier; of none, 정상."""
    assert expected == decide(scores, thresholds).label


scores_rows = st.lists(st.floats(0, 1), min_size=3, max_size=3)
threshold_maps = st.fixed_dictionaries({label: st.floats(0.01, 1) for label in FLAGGED_LABELS})


@given(scores_rows, threshold_maps)
def test_a_verdict_carries_the_score_and_threshold_of_its_label(
    scores: list[float], thresholds: dict[str, float]
) -> None:
    """A flagged verdict's score is its label's, and reaches the threshold that it names."""
    verdict = decide(np.array(scores), thresholds)

    assert scores[LABELS.index(verdict.label)] == verdict.score
    if verdict.flagged:
        assert verdict.threshold == thresholds[verdict.label]
        assert verdict.score >= thresholds[verdict.label]
    else:
        assert all(scores[LABELS.index(x)] < thresholds[x] for x in FLAGGED_LABELS)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((0.9, 0.05, 0.05), (0.1, 0.8, 0.1), (ABUSE, 0.8)),
        ((0.1, 0.8, 0.1), (0.9, 0.05, 0.05), (ABUSE, 0.8)),
        ((0.2, 0.6, 0.2), (0.1, 0.2, 0.7), (SEXUAL_HARASSMENT, 0.7)),
        ((0.2, 0.2, 0.6), (0.2, 0.6, 0.2), (SEXUAL_HARASSMENT, 0.6)),
        ((0.8, 0.1, 0.1), (0.7, 0.2, 0.1), (NORMAL, 0.7)),
    ],
)
def test_the_more_abusive_view_decides(
    first: tuple[float, ...], second: tuple[float, ...], expected: tuple[str, float]
) -> None:
    """The view whose abusive score is highest over its threshold gives label and scores."""
    verdict = decide_views([first, second], HALVES)

    assert expected == (verdict.label, verdict.score)


def test_a_view_is_as_abusive_as_its_score_over_the_threshold_of_its_label() -> None:
    """A score just over a low threshold yields to one that is further over a high one."""
    views = [(0.4, 0.1, 0.5), (0.2, 0.75, 0.05)]

    assert SEXUAL_HARASSMENT == decide_views(views, {ABUSE: 0.7, SEXUAL_HARASSMENT: 0.4}).label


@given(st.lists(scores_rows, min_size=1, max_size=3), threshold_maps)
def test_an_utterance_is_flagged_when_any_view_is(
    views: list[list[float]], thresholds: dict[str, float]
) -> None:
    """No view takes back the flag of another, and none is flagged that no view asks for."""
    expected = any(decide(view, thresholds).flagged for view in views)

    assert expected == decide_views(views, thresholds).flagged


def test_the_policy_version_changes_with_every_part() -> None:
    """Thresholds, severities, speakers and views each change the version, order does not."""
    base = build.policy()
    others = [
        build.policy(thresholds={ABUSE: 0.5, SEXUAL_HARASSMENT: 0.6}),
        build.policy(severities={ABUSE: "low", SEXUAL_HARASSMENT: "high"}),
        build.policy(judged_speakers={Speaker.CUSTOMER}),
        build.policy(second_view=False),
    ]

    assert base.version == build.policy(thresholds=dict(reversed(HALVES.items()))).version
    assert 5 == len({base.version, *(other.version for other in others)})


def test_a_policy_needs_every_threshold() -> None:
    """A policy without one of the thresholds is refused."""
    with pytest.raises(ValidationError, match="one threshold"):
        build.policy(thresholds={ABUSE: 0.5})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"speaker": "unknown"}, None),
        ({"speaker": "agent"}, "skipped_role"),
        ({"is_final": False}, "skipped_partial"),
        ({"is_final": False, "speaker": "agent"}, "skipped_partial"),
    ],
)
def test_partials_and_other_roles_are_skipped(
    changes: dict[str, object], expected: str | None
) -> None:
    """Only finals of judged speakers are judged."""
    judged = frozenset({Speaker.CUSTOMER, Speaker.UNKNOWN})

    assert expected == skip_reason(Utterance.model_validate(build.utterance(**changes)), judged)


@given(
    st.lists(st.integers(1, 128), max_size=60),
    st.integers(1, 1024),
    st.integers(1, 16),
)
def test_packing_keeps_every_text_once_and_the_budget(
    lengths: list[int], tokens: int, rows: int
) -> None:
    """Every index rides exactly once; a batch of several stays within tokens and rows."""
    batches = pack(lengths, tokens, rows)

    assert list(range(len(lengths))) == sorted(index for batch in batches for index in batch)
    for batch in batches:
        assert 1 <= len(batch) <= rows
        if len(batch) > 1:
            assert max(lengths[index] for index in batch) * len(batch) <= tokens


def test_texts_of_like_length_ride_together() -> None:
    """Sorting by length keeps a short text from being padded to a long one."""
    assert [[1], [3], [0, 2]] == pack([2, 9, 2, 8], max_tokens=9, max_rows=8)


def test_a_run_of_dead_letters_stops() -> None:
    """One dead letter over the consecutive limit raises; a good record resets the run."""
    limit = DeadLetterLimit(max_ratio=1.0, max_consecutive=2, window=100)
    for dead in (True, True, False, True, True):
        limit.record(dead)

    with pytest.raises(DeadLetterLimitError, match="3 dead letters in a row"):
        limit.record(True)


def test_a_ratio_is_judged_on_a_full_window() -> None:
    """Half of a few records may be dead; half of a whole window and one more may not."""
    limit = DeadLetterLimit(max_ratio=0.5, max_consecutive=100, window=4)
    for dead in (True, False, True, False):
        limit.record(dead)
    limit.record(True)
    limit.record(False)
    limit.record(True)

    with pytest.raises(DeadLetterLimitError, match="ratio"):
        limit.record(True)


def test_a_policy_file_changes_what_it_names() -> None:
    """What the file leaves out is the bundle's or the default."""
    toml = """
second_view = false
[thresholds]
abuse = 0.7
[severities]
abuse = "high"
"""
    made = parse_policy(toml, {ABUSE: 0.5, SEXUAL_HARASSMENT: 0.6})

    assert {ABUSE: 0.7, SEXUAL_HARASSMENT: 0.6} == made.thresholds
    assert {ABUSE: "high", SEXUAL_HARASSMENT: "high"} == made.severities
    assert {Speaker.CUSTOMER, Speaker.UNKNOWN} == made.judged_speakers
    assert not made.second_view
    assert made.version != parse_policy("", made.thresholds).version


@pytest.mark.parametrize(
    ("toml", "named"),
    [
        ("thresholds = {abuse = 1.5}", "thresholds.abuse"),
        ("thresholds = {swearing = 0.5}", "thresholds.swearing"),
        ('severities = {abuse = "mild"}', "severities.abuse"),
        ("judged_speakers = []", "judged_speakers"),
        ('judged_speakers = ["caller"]', "judged_speakers"),
        ("second_views = true", "second_views"),
        ("second_view =", "not valid TOML"),
    ],
)
def test_a_wrong_policy_file_names_the_field(toml: str, named: str) -> None:
    """A field that is unknown or out of range ends in an error that names it."""
    with pytest.raises(ConfigurationError, match=named):
        parse_policy(toml, {ABUSE: 0.5, SEXUAL_HARASSMENT: 0.6})
