"""`python -m tests.chaos`: break things under load, print one JSON object, exit 1 on a failure."""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.schedule import QUICK, Kind, schedule
from tests.chaos.session import Plan, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 where every promise was kept and everything recovered."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--faults", type=int, default=10, help="as fast as the group recovers")
    length.add_argument("--minutes", type=int, help="one fault a minute; worker 0 is spared")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="only faults that are soon over")
    parser.add_argument("--rate", type=float, default=60.0, help="records a second")
    parser.add_argument("--bundle", type=Path, help="judge with it; unset: by words")
    parser.add_argument("--session-seconds", type=float, default=6.0)
    parser.add_argument("--logs", type=Path, help="keep the workers' logs there")
    given = parser.parse_args(arguments)
    soak = given.minutes is not None
    count = given.minutes if soak else given.faults
    workers = 3
    faults = schedule(
        seed=given.seed,
        count=count,
        workers=workers,
        session_seconds=given.session_seconds,
        longest_seconds=30.0 if count >= 50 or soak else 10.0,
        spared=0 if soak else None,
        kinds=QUICK if given.quick else tuple(Kind),
    )
    plan = Plan(
        faults=list(faults),
        seed=given.seed,
        workers=workers,
        rate=given.rate,
        session_seconds=given.session_seconds,
        bundle=given.bundle,
        every_seconds=60.0 if soak else 0.0,
        logs=given.logs,
    )
    # Whoever ends the run with a SIGTERM wants no broker left behind.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    result = run(plan)
    print(json.dumps(result, ensure_ascii=False))
    return 1 if result["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
