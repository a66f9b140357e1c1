"""Whether the promises were kept, from what was written and what came out. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from statistics import median

Place = tuple[int, int]
"""Partition and offset in the source topic."""


@dataclass(frozen=True, slots=True)
class Written:
    """A record as it stands in the source topic, and what must come of it: see `Spoken`."""

    number: int
    call: str
    seq: int
    label: str | None
    dead: bool
    place: Place


@dataclass(frozen=True, slots=True)
class SeenFlag:
    """A flag as it stands in the flags topic. Times are in seconds since 1970.

    `place` is that of its utterance, `produced` when that was handed to the producer, `arrived`
    when the broker wrote the flag, `worker` who published it.
    """

    number: int
    call: str
    seq: int
    label: str
    event_id: str
    place: Place
    produced: float
    arrived: float
    worker: str


@dataclass(frozen=True)
class Delivery:
    """Counts over a whole run; `kept` says whether every promise was."""

    utterances: int
    written_twice: int
    """Records that the producer wrote again, after an outage, at another place: each has its own
    flag with its own event_id, as it must."""
    expected_flags: int
    lost: int
    """Records that must have a flag and have none."""
    duplicates: int
    """Flags beyond the first of their record, with the same event_id: allowed."""
    differing: int
    """Records whose flags carry more than one event_id, or that of another record."""
    out_of_order: int
    """Flags that first appear behind one of a later utterance of their call."""
    unexpected: int
    """Records flagged that should not be, or flagged with another label."""
    expected_dead_letters: int
    lost_dead_letters: int
    duplicate_dead_letters: int
    unexpected_dead_letters: int
    examples: Sequence[str]
    """The first few of what went wrong."""

    @property
    def kept(self) -> bool:
        return not any(
            (
                self.lost,
                self.differing,
                self.out_of_order,
                self.unexpected,
                self.lost_dead_letters,
                self.unexpected_dead_letters,
            )
        )


def check(written: Iterable[Written], flags: Iterable[SeenFlag], dead: Iterable[Place]) -> Delivery:
    """Compare what was written with the flags, in topic order, and the places of dead letters."""
    records = {record.place: record for record in written}
    flags, letters = list(flags), Counter(dead)
    labels = {place: record.label for place, record in records.items() if record.label}
    ids: dict[Place, set[str]] = {}
    places: dict[str, set[Place]] = {}
    for flag in flags:
        ids.setdefault(flag.place, set()).add(flag.event_id)
        places.setdefault(flag.event_id, set()).add(flag.place)
    shared = {place for holders in places.values() if len(holders) > 1 for place in holders}
    bad = {place for place, record in records.items() if record.dead}
    found: dict[str, Sequence[object]] = {
        "lost": sorted(labels.keys() - ids.keys()),
        "differing": sorted(shared | {place for place, own in ids.items() if len(own) > 1}),
        "out of order": out_of_order(flags),
        "unexpected": sorted({f.place for f in flags if labels.get(f.place) != f.label}),
        "lost dead letter": sorted(bad - letters.keys()),
        "unexpected dead letter": sorted(letters.keys() - bad),
    }
    return Delivery(
        utterances=len(records),
        written_twice=len(records) - len({record.number for record in records.values()}),
        expected_flags=len(labels),
        lost=len(found["lost"]),
        duplicates=len(flags) - sum(map(len, ids.values())),
        differing=len(found["differing"]),
        out_of_order=len(found["out of order"]),
        unexpected=len(found["unexpected"]),
        expected_dead_letters=len(bad),
        lost_dead_letters=len(found["lost dead letter"]),
        duplicate_dead_letters=letters.total() - len(letters),
        unexpected_dead_letters=len(found["unexpected dead letter"]),
        examples=[f"{what}: {which}" for what, all_of in found.items() for which in all_of[:3]],
    )


def out_of_order(flags: Iterable[SeenFlag]) -> list[int]:
    """Return the numbers of flags that first appear behind one of a later utterance of the call."""
    furthest: dict[str, int] = {}
    seen: set[int] = set()
    misplaced = []
    for flag in flags:
        if flag.number in seen:
            continue
        seen.add(flag.number)
        if flag.seq < furthest.get(flag.call, -1):
            misplaced.append(flag.number)
        furthest[flag.call] = max(flag.seq, furthest.get(flag.call, -1))
    return misplaced


@dataclass(frozen=True)
class Recovery:
    """How long after a fault flags flowed again, in seconds; None where they did not.

    Only flags of utterances produced after the fault count: what was under way proves nothing.
    """

    first: float | None
    """Until any such flag."""
    partitions: float | None
    """Until every partition had one."""
    workers: float | None
    """From the fault's end until every worker had published one."""

    @property
    def complete(self) -> bool:
        return self.partitions is not None and self.workers is not None


def recovery(
    hit: float,
    healed: float,
    flags: Iterable[SeenFlag],
    partitions: int,
    workers: Iterable[str],
) -> Recovery:
    """Return the recovery from a fault that struck at `hit` and was over at `healed`."""
    by_partition: dict[int, float] = {}
    by_worker: dict[str, float] = {}
    for flag in flags:
        if flag.produced >= hit:
            by_partition.setdefault(flag.place[0], flag.arrived)
        if flag.produced >= healed:
            by_worker.setdefault(flag.worker, flag.arrived)
    workers = set(workers)
    everywhere, everybody = len(by_partition) == partitions, workers <= by_worker.keys()
    return Recovery(
        first=round(min(by_partition.values()) - hit, 2) if by_partition else None,
        partitions=round(max(by_partition.values()) - hit, 2) if everywhere else None,
        workers=round(max(by_worker[name] for name in workers) - healed, 2) if everybody else None,
    )


def summary(recoveries: Sequence[tuple[str, Recovery]]) -> dict[str, dict[str, float | int]]:
    """Return by kind of fault how many there were and how long every partition took."""
    kinds: dict[str, dict[str, float | int]] = {}
    ordered = sorted(recoveries, key=lambda pair: pair[0])
    for kind, group in groupby(ordered, key=lambda pair: pair[0]):
        found = [pair[1] for pair in group]
        numbers: dict[str, float | int] = {"faults": len(found)}
        for name in ("partitions", "workers"):
            values = [x for x in map(attrgetter(name), found) if x is not None]
            if values:
                numbers |= {f"{name}_median": median(values), f"{name}_max": max(values)}
        kinds[kind] = numbers
    return kinds
