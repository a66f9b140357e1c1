"""Flags against labels."""

import pytest

from stream.demo.summary import LabelCount, percentile, summarise
from stream.schema import ABUSE, NORMAL, SEXUAL_HARASSMENT, Speaker
from tests.demo.builders import seen, spoken


def test_a_flag_with_the_turns_own_label_is_a_hit() -> None:
    """An expected turn flagged with its label counts as expected and hit."""
    summary = summarise([spoken(0, ABUSE)], [seen(0, ABUSE)], read=1)
    assert LabelCount(flags=1, expected=1, hits=1, mislabelled=0) == summary.by_label[ABUSE]


def test_a_flag_with_the_other_label_is_a_miss() -> None:
    """A 욕설 turn flagged 성희롱 is a mislabelled miss of 욕설, and no false flag."""
    summary = summarise([spoken(0, ABUSE)], [seen(0, SEXUAL_HARASSMENT)], read=1)
    assert LabelCount(flags=0, expected=1, hits=0, mislabelled=1) == summary.by_label[ABUSE]
    assert 1 == summary.by_label[ABUSE].misses
    assert 1 == summary.by_label[SEXUAL_HARASSMENT].flags
    assert 0 == summary.false_flags


def test_a_flag_on_a_normal_turn_is_false() -> None:
    """A flag on a turn labelled 정상 is a false flag, whoever spoke."""
    turns = [spoken(0, NORMAL), spoken(1, NORMAL, Speaker.AGENT)]
    assert 2 == summarise(turns, [seen(0), seen(1)], read=2).false_flags


@pytest.mark.parametrize(
    ("speaker", "expected"),
    [(Speaker.CUSTOMER, 1), (Speaker.UNKNOWN, 1), (Speaker.AGENT, 0)],
)
def test_only_judged_speakers_are_expected(speaker: Speaker, expected: int) -> None:
    """An agent's turn is not judged by default, so its label expects no flag."""
    summary = summarise([spoken(0, ABUSE, speaker)], [], read=1)
    assert expected == summary.as_json()["expected"]


@pytest.mark.parametrize(("read", "lost"), [(0, 2), (1, 1), (2, 0), (3, 0)])
def test_lost_is_what_nobody_read(read: int, lost: int) -> None:
    """Lost is produced minus read, and a redelivery does not make it negative."""
    assert lost == summarise([spoken(0), spoken(1)], [], read=read).lost


def test_the_json_line_has_exactly_the_promised_keys() -> None:
    """Programs read this line: its keys and their order are a contract."""
    turns = [spoken(0, ABUSE), spoken(1, SEXUAL_HARASSMENT), spoken(2), spoken(3)]
    flags = [seen(0, ABUSE, 10.04), seen(2, SEXUAL_HARASSMENT, 30.0)]
    expected = {
        "utterances": 4,
        "flags": 2,
        "by_label": {"욕설": 1, "성희롱": 1},
        "expected_hits": 1,
        "expected": 2,
        "false_flags": 1,
        "lost": 1,
        "p50_ms": 10.0,
        "p99_ms": 30.0,
    }
    actual = summarise(turns, flags, read=3).as_json()
    assert expected == actual
    assert list(expected) == list(actual)


def test_without_a_flag_there_is_no_latency() -> None:
    """A replay that raised no flag has no percentiles, rather than a latency of 0."""
    actual = summarise([spoken(0)], [], read=1)
    assert (None, None) == (actual.p50_ms, actual.p99_ms)


@pytest.mark.parametrize(("percent", "expected"), [(1, 1.0), (50, 50.0), (99, 99.0), (100, 100.0)])
def test_percentiles_are_nearest_rank(percent: float, expected: float) -> None:
    """A percentile is one of the values, however they are ordered."""
    assert expected == percentile([float(n) for n in range(100, 0, -1)], percent)
