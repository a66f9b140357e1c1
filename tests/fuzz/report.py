"""What a run has seen: inputs and outcomes by target, findings, and what took too long."""

import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.fuzz.mutate import MARK

SHOWN = 300
"""So much of an input's repr stands in a finding."""


class BrokenError(Exception):
    """A contract that does not hold; the message names it."""


def refuse(error: Exception, mark: str = MARK) -> str:
    """Return the class of a designed `error`; raise BrokenError where it quotes `mark`."""
    said = f"{error!r} {error}"
    if mark in said:
        raise BrokenError(f"{type(error).__name__} quotes its input")
    if error.__cause__ is not None or not (error.__suppress_context__ or not error.__context__):
        raise BrokenError(f"{type(error).__name__} carries the error that it came from")
    return type(error).__name__


@dataclass
class Target:
    """The tally of one target."""

    inputs: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)


@dataclass
class Report:
    """Runs cases and keeps what came of them.

    A case is slow where it takes over `base_seconds` and `seconds_per_byte` for each byte, in
    processor time of this thread and as the best of three, so that a busy machine finds nothing.
    """

    base_seconds: float = 0.05
    seconds_per_byte: float = 5e-5
    targets: dict[str, Target] = field(default_factory=dict)
    findings: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    slow: list[dict[str, Any]] = field(default_factory=list)

    def run(
        self, target: str, made: str, case: object, size: int, examine: Callable[[], str]
    ) -> None:
        """Examine one case of `size` bytes; `made` says how it was made."""
        tally = self.targets.setdefault(target, Target())
        tally.inputs[made] += 1
        begun = time.thread_time()
        tally.outcomes[self._outcome(target, case, examine)] += 1
        bound = self.base_seconds + self.seconds_per_byte * size
        seconds = time.thread_time() - begun
        for _ in range(2):
            if seconds <= bound:
                return
            begun = time.thread_time()
            self._outcome(target, case, examine)
            seconds = min(seconds, time.thread_time() - begun)
        if seconds > bound:
            entry = {"target": target, "bytes": size, "seconds": round(seconds, 3)}
            self.slow.append({**entry, "input": repr(case)[:SHOWN]})

    def _outcome(self, target: str, case: object, examine: Callable[[], str]) -> str:
        try:
            return examine()
        except BrokenError as error:
            return self._find(target, "broken contract", str(error), case)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            what = f"{type(error).__name__} at {place.name}:{place.lineno}: {error}"
            return self._find(target, f"escaped {type(error).__name__}", what, case)

    def _find(self, target: str, kind: str, what: str, case: object) -> str:
        entry = {"target": target, "kind": kind, "what": what[:SHOWN], "times": 0}
        # The same fault is found by thousands of inputs; the first of them is enough.
        found = self.findings.setdefault(
            (target, kind, what[:60]), {**entry, "input": repr(case)[:SHOWN]}
        )
        found["times"] += 1
        return kind

    def summary(self) -> dict[str, Any]:
        """Return the run as one JSON object."""
        return {
            "inputs": sum(tally.inputs.total() for tally in self.targets.values()),
            "targets": {
                name: {
                    "inputs": dict(sorted(tally.inputs.items())),
                    "outcomes": dict(tally.outcomes.most_common()),
                }
                for name, tally in self.targets.items()
            },
            "slow": sorted(self.slow, key=lambda found: -found["seconds"])[:20],
            "findings": list(self.findings.values()),
        }
