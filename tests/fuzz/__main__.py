"""`python -m tests.fuzz --inputs 1000000 --seed 1`: hostile records, texts and bundles.

Two generators, because neither does alone. Seeded mutation of valid seeds takes 25 to 65 us an
input, breaks bytes (which no strategy for JSON values does) and reaches the volume. Hypothesis
takes 3 to 13 ms, but what it makes are documents that parse, with any value in any field, so they
get past the parser and into the contracts behind it: a hundredth of a run, up to MOST_STRUCTURED a
target. Both depend on the seed alone.

A finding is whatever escapes but the designed errors, an error that quotes its input, or a contract
that does not hold; then the status is 1. What takes too long for its length is listed, no more: a
busy machine must fail no run. Standard output is one JSON object.
"""

import argparse
import json
import random
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.strategies import SearchStrategy

from tests.fuzz import mutate, seeds, structured
from tests.fuzz.report import Report
from tests.fuzz.targets import BundleCase, BundleTarget, examine_record, examine_text

SHARES = {"records": 0.5, "texts": 0.4, "bundles": 0.1}
MOST_STRUCTURED = 5_000

T = TypeVar("T")


def fuzz(inputs: int, seeded: int) -> Report:
    """Examine about `inputs` inputs (hypothesis may find no more that differ); the same by seed."""
    report = Report()
    with BundleTarget() as target:

        def record(made: str, case: tuple[bytes | None, bytes | None]) -> None:
            size = len(case[1] or b"")
            report.run("records", made, case, size, lambda: examine_record(*case))

        def text(made: str, case: str) -> None:
            report.run("texts", made, case, len(case), lambda: examine_text(case))

        def bundle(made: str, case: BundleCase) -> None:
            report.run("bundles", made, case, len(case.manifest), lambda: target.examine(case))

        def both(
            name: str,
            generate: Callable[[random.Random], T],
            strategy: SearchStrategy[T],
            run: Callable[[str, T], None],
        ) -> None:
            rng = random.Random(f"{seeded} {name}")
            of_target = round(inputs * SHARES[name])
            few = min(of_target // 100, MOST_STRUCTURED)
            _explore(strategy, lambda case: run("structured", case), few, seeded)
            for _ in range(of_target - few):
                run("mutated", generate(rng))

        both("records", seeds.record, structured.records, record)
        both("texts", lambda rng: mutate.text(rng, seeds.TEXTS), structured.texts, text)
        both("bundles", seeds.bundle, structured.bundles, bundle)
    return report


def _explore(
    strategy: SearchStrategy[T], run: Callable[[T], None], examples: int, seeded: int
) -> None:
    """Run up to `examples` examples of `strategy`; nothing is shrunk or stored."""
    if not examples:
        return

    @seed(seeded)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def drive(case: T) -> None:
        run(case)

    drive()


def main(arguments: list[str] | None = None) -> int:
    """Run, print, and return 1 where there is a finding."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    given_arguments = parser.parse_args(arguments)
    # What warns today is a line in a log, and an error where warnings are errors.
    warnings.simplefilter("error")
    begun = time.monotonic()
    report = fuzz(given_arguments.inputs, given_arguments.seed)
    summary: dict[str, Any] = {"seed": given_arguments.seed, **report.summary()}
    summary["seconds"] = round(time.monotonic() - begun, 1)
    print(json.dumps(summary, ensure_ascii=True, indent=1))
    return 1 if summary["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
