"""The schedule of faults and the script of the load are what their seed says."""

from collections import Counter
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from stream.errors import BadRecordError
from stream.policy import skip_reason
from stream.schema import Speaker, parse_utterance
from tests.chaos.schedule import ENDS_WORKERS, QUICK, Fault, Kind, schedule
from tests.chaos.script import speak
from tests.fakes import WordScorer


def faults(count: int = 40, seed: int = 1, spared: int | None = None) -> list[Fault]:
    return list(schedule(seed, count, workers=3, session_seconds=6.0, spared=spared))


def test_a_seed_gives_one_schedule() -> None:
    """The same seed gives the same faults, another gives others."""
    assert faults(seed=1) == faults(seed=1)
    assert faults(seed=1) != faults(seed=2)


@given(seed=st.integers(), rounds=st.integers(1, 4))
def test_every_kind_comes_round(seed: int, rounds: int) -> None:
    """In n times as many faults as there are kinds each kind comes n times."""
    counted = Counter(fault.kind for fault in faults(rounds * len(Kind), seed))
    assert dict.fromkeys(Kind, rounds) == counted


@given(seed=st.integers())
def test_a_frozen_worker_outlives_its_session(seed: int) -> None:
    """A worker is frozen for longer than its session lasts."""
    assert all(f.seconds > 6.0 for f in faults(seed=seed) if f.kind is Kind.FREEZE)


@given(seed=st.integers())
def test_the_spared_worker_never_ends(seed: int) -> None:
    """No fault that ends a worker hits the spared slot, and other faults do hit it."""
    found = faults(200, seed, spared=0)
    deadly = [f for f in found if f.kind in (*ENDS_WORKERS, Kind.ROLL)]
    assert not any(0 in f.slots for f in deadly)
    assert any(0 in f.slots for f in found)


@given(seed=st.integers(), count=st.integers(1, 30))
def test_the_last_fault_settles(seed: int, count: int) -> None:
    """Whatever was hurried before, the last fault waits for the recovery."""
    assert faults(count, seed)[-1].settle


def test_ten_kinds_are_quick() -> None:
    """The quick kinds hold every stage at which a worker can be killed, and a broker's death."""
    assert 10 == len(QUICK)
    assert {"kill_pulled", "kill_inferring", "kill_published", "broker_kill"} <= set(QUICK)


def test_what_is_said_has_the_verdict_that_it_claims() -> None:
    """Each record parses, or breaks the contract, as it says, and is flagged as it says."""
    labels = {0: None, 1: "욕설", 2: "성희롱"}
    for spoken in islice(speak(seed=1), 2000):
        try:
            utterance = parse_utterance(spoken.key, spoken.value, 65_536)
        except BadRecordError:
            assert spoken.dead
            continue
        skipped = skip_reason(utterance, frozenset({Speaker.CUSTOMER, Speaker.UNKNOWN}))
        label = labels[int(WordScorer().score([utterance.text]).scores[0].argmax())]
        assert not spoken.dead
        assert (None if skipped else label) == spoken.label
        assert (spoken.call, spoken.seq) == (utterance.call_id, utterance.seq)


def test_what_is_said_is_numbered_and_in_order() -> None:
    """Numbers count up over all calls, and `seq` within each."""
    said = list(islice(speak(seed=1), 2000))
    calls: dict[str, list[int]] = {}
    for spoken in said:
        calls.setdefault(spoken.call, []).append(spoken.seq)

    assert list(range(2000)) == [spoken.number for spoken in said]
    assert all(list(range(len(seqs))) == seqs for seqs in calls.values())
    assert {None, "욕설", "성희롱"} == {spoken.label for spoken in said}
    assert any(spoken.dead for spoken in said)
