"""The timeline of the sample calls."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from stream import demo
from stream.demo.replay import (
    Spoken,
    all_at_once,
    pace,
    parse_calls,
    span,
    squeeze,
    timeline,
)
from stream.schema import FLAGGED_LABELS, parse_utterance
from tests.demo.builders import NOON, call, spoken

_SAMPLE = Path(demo.__file__).with_name("calls.jsonl")


def _sample() -> list[Spoken]:
    return timeline(parse_calls(_SAMPLE.read_text("utf-8").splitlines()))


def test_a_calls_file_is_read_line_by_line() -> None:
    """Blank lines and fields that the demo does not know are skipped."""
    line = (
        '{"call_id": "c1", "industry": "통신", "summary": "요약", "turns": '
        '[{"speaker": "agent", "text": "네", "label": "정상"}]}'
    )
    (read,) = parse_calls([line, "", " "])
    expected = ("c1", "통신", "agent", "네", "정상")
    actual = (
        read.call_id,
        read.industry,
        read.turns[0].speaker.value,
        read.turns[0].text,
        read.turns[0].label,
    )
    assert expected == actual


def test_the_records_meet_the_utterance_contract() -> None:
    """What the demo sends is what the worker's own parser accepts, field for field."""
    key, value = spoken(seq=3, ended_s=2.5).encode(NOON)
    utterance = parse_utterance(key, value, max_bytes=10_000)
    expected = (b"c1", "c1", "c1-003", 3, "customer", "네 고객님", True, "통신")
    actual = (
        key,
        utterance.call_id,
        utterance.utterance_id,
        utterance.seq,
        utterance.speaker.value,
        utterance.text,
        utterance.is_final,
        utterance.queue,
    )
    assert expected == actual
    assert NOON + timedelta(seconds=1.5) == utterance.started_at


def test_turns_of_one_call_follow_one_another() -> None:
    """Within a call no turn starts before the one before it has ended."""
    turns = timeline([call(turns=5)])
    assert [0, 1, 2, 3, 4] == [one.seq for one in turns]
    gaps = [b.started_s - a.ended_s for a, b in pairwise(turns)]
    assert [] == [gap for gap in gaps if gap <= 0]


def test_calls_interleave() -> None:
    """Two calls at once are heard together: the second speaks before the first has ended."""
    turns = timeline([call("c1", 5), call("c2", 5)], at_once=2)
    order = [one.call_id for one in turns]
    assert True is (order.index("c2") < len(order) - 1 - order[::-1].index("c1"))


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_no_more_calls_than_lanes(at_once: int) -> None:
    """At no turn's start are more calls under way than there are lanes."""
    turns = timeline([call(f"c{n}", 10) for n in range(7)], at_once=at_once)
    calls = {one.call_id for one in turns}
    begins = {c: min(one.started_s for one in turns if one.call_id == c) for c in calls}
    ends = {c: max(one.ended_s for one in turns if one.call_id == c) for c in calls}
    busiest = max(sum(begins[c] <= t < ends[c] for c in calls) for t in begins.values())
    assert at_once == busiest


def test_a_timeline_is_in_order_of_ends() -> None:
    """A record is due when its turn has been spoken, so the timeline is sorted by that."""
    ends = [one.ended_s for one in _sample()]
    assert sorted(ends) == ends


def test_squeezing_fits_the_span_and_keeps_the_order() -> None:
    """A long timeline lasts exactly the span asked for, with its turns in the same order."""
    natural = _sample()
    squeezed = squeeze(natural, 10.0)
    assert pytest.approx(10.0) == span(squeezed)
    assert [one.utterance_id for one in natural] == [one.utterance_id for one in squeezed]
    assert pytest.approx(span(natural) / 10.0) == pace(natural, squeezed)


def test_squeezing_never_slows_down() -> None:
    """A timeline shorter than the span keeps the pace of speech."""
    natural = timeline([call()])
    assert natural == squeeze(natural, 1_000.0)
    assert pytest.approx(1.0) == pace(natural, natural)


def test_at_once_means_in_the_past() -> None:
    """Replayed at once, every turn has been spoken when the replay begins."""
    assert pytest.approx(0.0) == span(all_at_once(_sample()))


def test_no_calls_make_no_timeline() -> None:
    """An empty calls file is an empty replay, at any pace."""
    assert [] == squeeze(timeline([]))
    assert [] == all_at_once([])
    assert pytest.approx(1.0) == pace([], [])


def test_the_sample_shows_every_label() -> None:
    """The sample holds both flagged labels, and utterance ids that are unique."""
    sample = _sample()
    assert set(FLAGGED_LABELS) <= {one.turn.label for one in sample}
    assert len(sample) == len({one.utterance_id for one in sample})
