"""What a run says of itself: one JSON object. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.chaos.checker import Delivery, Recovery, summary
from tests.chaos.faults import Struck
from tests.chaos.fleet import Ending
from tests.chaos.schedule import Fault


@dataclass(frozen=True)
class Event:
    """A fault and what followed."""

    fault: Fault
    struck: Struck
    recovery: Recovery

    @property
    def seconds(self) -> float:
        return round(self.struck.healed - self.struck.hit, 2)

    @property
    def line(self) -> str:
        slots = ",".join(map(str, self.fault.slots))
        return (
            f"{self.fault.kind} of {slots} for {self.seconds:g} s: partitions after "
            f"{self.recovery.partitions} s, workers after {self.recovery.workers} s"
            f"{'' if self.fault.settle else ' (hurried)'} {self.struck.complaint}"
        ).rstrip()


def report(
    seed: int,
    seconds: float,
    vanished: int,
    delivery: Delivery,
    events: Sequence[Event],
    endings: Sequence[Ending],
    slopes: Sequence[dict[str, object]],
) -> dict[str, Any]:
    """Return the report of a run; `failures` says what was not as promised, in words.

    `vanished` counts records that Kafka acknowledged and no longer has: not the worker's doing.
    """
    asked = [ending for ending in endings if ending.asked and not ending.killed]
    alone = [ending for ending in endings if not ending.asked and not ending.killed]
    settled = [event for event in events if event.fault.settle]
    failures = [
        *(["the delivery did not keep what is promised"] if not delivery.kept else []),
        *(f"{e.name} ended with {e.status}: {e.last_words}" for e in endings if not e.fair),
        *(f"no recovery: {event.line}" for event in settled if not event.recovery.complete),
        *(f"{e.fault.kind}: {e.struck.complaint}" for e in events if e.struck.complaint),
    ]
    return {
        "seed": seed,
        "seconds": round(seconds, 1),
        "vanished": vanished,
        **asdict(delivery),
        "faults": len(events),
        "faults_by_kind": dict(Counter(event.fault.kind.value for event in events)),
        "recovery_by_kind": summary([(e.fault.kind.value, e.recovery) for e in settled]),
        "recovery_seconds": [
            {"kind": e.fault.kind.value, "lasted": e.seconds, **asdict(e.recovery)} for e in settled
        ],
        "asked_to_end": _statuses(asked),
        "ended_by_themselves": _statuses(alone),
        "killed": len(endings) - len(asked) - len(alone),
        "slopes": list(slopes),
        "failures": failures,
    }


def _statuses(endings: Sequence[Ending]) -> dict[str, int]:
    return dict(Counter(str(ending.status) for ending in endings))
