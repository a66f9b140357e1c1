"""What the replay was worth: flags against the labels that people gave the turns.

Expected are the turns labelled 욕설 or 성희롱 whose speaker is judged by default: customers and
unknown speakers. Agents' turns are read, not judged, so an agent's turn is never expected.

A hit is an expected turn flagged with its own label. An expected turn flagged only with the other
label is a miss, and counted as mislabelled beside. A false flag is one on a turn labelled 정상.

Latency runs from the record's timestamp, taken where the demo produces it, to the flag's arrival
in the demo's own consumer. That is an upper bound of the flag's acknowledgement, one fetch later,
and it is exact for every flag; the worker's own histogram ends at the acknowledgement, but knows
its percentiles only up to the width of a bucket. The latency includes the worker's fetch wait (up
to 100 ms, see stream/broker.py): the embedded broker answers a waiting fetch only when its time is
up, where Kafka answers as soon as a record comes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stream.demo.replay import Spoken
from stream.schema import FLAGGED_LABELS, NORMAL, Flag, Speaker


@dataclass(frozen=True, slots=True)
class SeenFlag:
    """A flag and when it reached the demo, in milliseconds since 1970."""

    flag: Flag
    arrived_ms: float

    @property
    def latency_ms(self) -> float:
        return self.arrived_ms - self.flag.source.timestamp


@dataclass(frozen=True, slots=True)
class LabelCount:
    """How one label fared; hits and misses add up to `expected`."""

    flags: int
    expected: int
    hits: int
    mislabelled: int

    @property
    def misses(self) -> int:
        return self.expected - self.hits


@dataclass(frozen=True, slots=True)
class Summary:
    """The outcome of one replay. Latencies are None where there was no flag."""

    utterances: int
    by_label: Mapping[str, LabelCount]
    false_flags: int
    lost: int
    p50_ms: float | None
    p99_ms: float | None

    def as_json(self) -> dict[str, Any]:
        """Return the line that programs read; its keys are a contract."""
        counts = self.by_label.values()
        return {
            "utterances": self.utterances,
            "flags": sum(count.flags for count in counts),
            "by_label": {label: count.flags for label, count in self.by_label.items()},
            "expected_hits": sum(count.hits for count in counts),
            "expected": sum(count.expected for count in counts),
            "false_flags": self.false_flags,
            "lost": self.lost,
            "p50_ms": self.p50_ms,
            "p99_ms": self.p99_ms,
        }


def summarise(spoken: Sequence[Spoken], seen: Sequence[SeenFlag], read: int) -> Summary:
    """Compare flags with labels. `seen` holds no event twice; `read` is what the worker read.

    A record redelivered is read twice, so `lost` is a floor of what was lost, never below 0.
    """
    truth = {one.utterance_id: one.turn.label for one in spoken}
    flagged = {(one.flag.utterance_id, one.flag.label) for one in seen}
    flagged_at_all = {one.flag.utterance_id for one in seen}
    by_label = {}
    for label in FLAGGED_LABELS:
        expected = {
            one.utterance_id
            for one in spoken
            if one.turn.label == label and one.turn.speaker is not Speaker.AGENT
        }
        hits = {one for one in expected if (one, label) in flagged}
        by_label[label] = LabelCount(
            flags=sum(one.flag.label == label for one in seen),
            expected=len(expected),
            hits=len(hits),
            mislabelled=len((expected - hits) & flagged_at_all),
        )
    latencies = [one.latency_ms for one in seen]
    return Summary(
        utterances=len(spoken),
        by_label=by_label,
        false_flags=sum(truth.get(one.flag.utterance_id) == NORMAL for one in seen),
        lost=max(0, len(spoken) - read),
        p50_ms=percentile(latencies, 50),
        p99_ms=percentile(latencies, 99),
    )


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Return the smallest value that `percent` % of all do not exceed (nearest rank), to 0.1."""
    if not values:
        return None
    rank = max(1, math.ceil(len(values) * percent / 100))
    return round(sorted(values)[rank - 1], 1)
