"""The checker sees each way in which a promise can be broken, and nothing else."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.checker import (
    Delivery,
    Place,
    Recovery,
    SeenFlag,
    Written,
    check,
    out_of_order,
    recovery,
    summary,
)

WRITTEN = [
    Written(0, "a", 0, "욕설", dead=False, place=(0, 0)),
    Written(1, "a", 1, None, dead=False, place=(0, 1)),
    Written(2, "a", 2, "성희롱", dead=False, place=(0, 2)),
    Written(3, "b", 0, None, dead=True, place=(1, 0)),
]
BAD = (1, 0)


def flag(number: int = 0, **changes: object) -> SeenFlag:
    written = WRITTEN[number]
    whole = SeenFlag(
        number=number,
        call=written.call,
        seq=written.seq,
        label=written.label or "욕설",
        event_id=f"id-{number}",
        place=written.place,
        produced=0.0,
        arrived=1.0,
        worker="w",
    )
    return replace(whole, **changes)  # type: ignore[arg-type]  # each test names fields rightly


def numbered(number: int) -> SeenFlag:
    """Return the flag of a call's utterance in this place."""
    return replace(flag(), number=number, seq=number)


def broken(delivery: Delivery) -> dict[str, int]:
    """Return what is not nought of that which should be."""
    names = (
        "lost",
        "differing",
        "out_of_order",
        "unexpected",
        "lost_dead_letters",
        "unexpected_dead_letters",
    )
    found = {name: getattr(delivery, name) for name in names}
    return {name: count for name, count in found.items() if count}


def test_all_is_well() -> None:
    """Every flag and dead letter once, in order: every promise is kept."""
    delivery = check(WRITTEN, [flag(0), flag(2)], [BAD])
    assert delivery.kept
    assert {} == broken(delivery)
    assert (4, 0, 2, 1) == (
        delivery.utterances,
        delivery.written_twice,
        delivery.expected_flags,
        delivery.expected_dead_letters,
    )


def test_a_record_written_twice_has_two_flags() -> None:
    """Each place has its own flag with its own id; one of them missing is a loss."""
    written = [*WRITTEN, replace(WRITTEN[0], place=(0, 3))]
    again = flag(0, place=(0, 3), event_id="of the second place")
    delivery = check(written, [flag(0), flag(2), again], [BAD])
    assert delivery.kept
    assert (1, 3) == (delivery.written_twice, delivery.expected_flags)
    assert {"lost": 1} == broken(check(written, [flag(0), flag(2)], [BAD]))


def test_two_records_must_not_share_an_id() -> None:
    """An event_id that stands for two records is wrong for both."""
    delivery = check(WRITTEN, [flag(0), flag(2, event_id="id-0")], [BAD])
    assert {"differing": 2} == broken(delivery)


def test_a_duplicate_with_its_id_is_allowed() -> None:
    """A repeated flag with the same event_id is counted and breaks nothing."""
    delivery = check(WRITTEN, [flag(0), flag(2), flag(0), flag(0)], [BAD, BAD])
    assert (2, 1) == (delivery.duplicates, delivery.duplicate_dead_letters)
    assert delivery.kept


@pytest.mark.parametrize(
    ("flags", "dead", "what"),
    [
        ([flag(0)], [BAD], "lost"),
        ([flag(0), flag(2), flag(0, event_id="another")], [BAD], "differing"),
        ([flag(2), flag(0)], [BAD], "out_of_order"),
        ([flag(0), flag(1), flag(2)], [BAD], "unexpected"),
        ([flag(0), flag(2, label="욕설")], [BAD], "unexpected"),
        ([flag(0), flag(2)], [], "lost_dead_letters"),
        ([flag(0), flag(2)], [BAD, (0, 0)], "unexpected_dead_letters"),
    ],
)
def test_each_broken_promise_is_seen(flags: list[SeenFlag], dead: list[Place], what: str) -> None:
    """One thing wrong is counted once, under its own name, with an example."""
    delivery = check(WRITTEN, flags, dead)
    assert not delivery.kept
    assert {what: 1} == broken(delivery)
    assert 1 == len(delivery.examples)


@given(st.lists(st.integers(0, 30), max_size=60), st.data())
def test_redelivery_from_an_earlier_place_keeps_the_order(
    ends: list[int], data: st.DataObject
) -> None:
    """Whoever starts at or before the furthest flag and goes on in order is never out of order."""
    flags, furthest = [], 0
    for end in ends:
        start = data.draw(st.integers(0, furthest))
        flags += [numbered(n) for n in range(start, end)]
        furthest = max(furthest, end)
    assert [] == out_of_order(flags)


def test_a_gap_that_is_filled_later_is_out_of_order() -> None:
    """A flag that first comes behind its successor is named; another call's order is its own."""
    flags = [numbered(0), numbered(2), numbered(1)]
    assert [1] == out_of_order(flags)
    assert [] == out_of_order([replace(f, call=str(f.number)) for f in flags])


def test_recovery_counts_only_what_was_produced_after_the_fault() -> None:
    """Flags of earlier utterances prove nothing; each partition and worker is waited for."""
    flags = [
        flag(0, produced=9.0, arrived=10.5, place=(0, 9)),
        flag(0, produced=10.1, arrived=11.0, place=(0, 9)),
        flag(0, produced=10.2, arrived=14.0, place=(1, 9)),
        flag(0, produced=12.5, arrived=15.0, place=(0, 9)),
        flag(0, produced=12.5, arrived=17.0, place=(0, 9), worker="v"),
    ]
    assert Recovery(1.0, 4.0, 5.0) == recovery(10.0, 12.0, flags, 2, ["v", "w"])
    assert Recovery(1.0, None, 3.0) == recovery(10.0, 12.0, flags, 3, ["w"])
    assert Recovery(None, None, None) == recovery(20.0, 20.0, flags, 2, ["w"])


def test_a_kind_is_summed_up_by_what_recovered() -> None:
    """Medians and greatest values leave out what did not recover; the count does not."""
    found = [Recovery(1, 2, 3), Recovery(1, 4, None), Recovery(1, 9, 5)]
    assert {
        "kill": {
            "faults": 3,
            "partitions_median": 4,
            "partitions_max": 9,
            "workers_median": 4,
            "workers_max": 5,
        }
    } == summary([("kill", one) for one in found])
