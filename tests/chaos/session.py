"""One run: steady load, faults one after another, and what came of it."""

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos import script
from tests.chaos.broker import DEAD_LETTERS, FLAGS, SOURCE, Cluster, cluster
from tests.chaos.checker import Recovery, Written, check, recovery
from tests.chaos.faults import World, strike
from tests.chaos.fleet import ROOT, Fleet
from tests.chaos.load import Load
from tests.chaos.report import Event, report
from tests.chaos.schedule import Fault
from tests.chaos.tail import Tail
from tests.chaos.usage import Usage

CALLS = ROOT / "stream" / "demo" / "calls.jsonl"
TICK_SECONDS = 0.1
PAUSE_SECONDS = 1.0


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Plan:
    """What a run does. `bundle` judges; None: words do, which costs no CPU."""

    faults: Sequence[Fault]
    seed: int
    workers: int = 3
    partitions: int = 6
    rate: float = 60.0
    session_seconds: float = 6.0
    seconds_per_text: float = 0.005
    bundle: Path | None = None
    every_seconds: float = 0.0
    """The least time from one fault to the next."""
    patience_seconds: float = 180.0
    """After so long without recovery the run counts as failed; it goes on."""
    logs: Path | None = None
    """Where the workers' logs go; None: they go with the run."""
    say: Callable[[str], None] = field(default=say)


def run(plan: Plan) -> dict[str, Any]:
    """Carry out `plan` and return the report; its `failures` are empty where all went well.

    Raises KafkaUnavailableError where no Kafka can be had.
    """
    with contextlib.ExitStack() as stack:
        directory = plan.logs or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        directory.mkdir(parents=True, exist_ok=True)
        texts = script.WORDS if plan.bundle is None else bundle_texts(plan.bundle)
        there = stack.enter_context(cluster(plan.workers, plan.partitions))
        servers = there.server.bootstrap_servers
        settings = worker_settings(plan, directory, there)
        fleet = stack.enter_context(Fleet(plan.workers, directory, settings))
        tail = stack.enter_context(Tail(servers))
        load = stack.enter_context(Load(servers, script.speak(plan.seed, texts), plan.rate))
        return Session(plan, there, fleet, tail, load).run()


class Session:
    """A run under way."""

    def __init__(self, plan: Plan, there: Cluster, fleet: Fleet, tail: Tail, load: Load) -> None:
        self._plan = plan
        self._fleet = fleet
        self._tail = tail
        self._load = load
        self._usage = Usage()
        self._world = World(there, fleet, plan.partitions, self.rest, self.wait_for)

    def run(self) -> dict[str, Any]:
        begun = time.time()
        self._fleet.tend()
        if not self._wait(lambda: self._recovery(begun, begun, 0).complete):
            self._complain_and_raise()
        self._plan.say(f"{self._plan.workers} workers after {time.time() - begun:.1f} s")
        events = [event for fault in self._plan.faults for event in self._event(fault)]
        self._load.stop()
        self._wait(self._all_done)
        self._fleet.terminate_all()
        self._tail.wait_for_the_end()
        vanished = self._load.acknowledged() - {number for number, _ in self._tail.written}
        return report(
            seed=self._plan.seed,
            seconds=time.time() - begun,
            vanished=len(vanished),
            delivery=check(self._written(), self._tail.flags, self._tail.dead),
            events=events,
            endings=self._fleet.endings,
            slopes=self._usage.slopes(),
        )

    def rest(self, seconds: float) -> None:
        """Let the run go on for `seconds`."""
        self._wait(lambda: False, seconds)

    def wait_for(self, names: set[str], seconds: float) -> bool:
        """Wait until each worker has published a flag of an utterance produced from now on."""
        now, start = time.time(), len(self._tail.flags)
        return self._wait(
            lambda: names <= {f.worker for f in self._tail.flags[start:] if f.produced >= now},
            seconds,
        )

    def _event(self, fault: Fault) -> Iterator[Event]:
        """Carry out a fault and wait, if it is to settle, for the recovery."""
        begun, start = time.monotonic(), len(self._tail.flags)
        struck = strike(fault, self._world)
        self._fleet.tend()
        limit = self._plan.patience_seconds if fault.settle else PAUSE_SECONDS
        self._wait(lambda: self._recovery(struck.hit, struck.healed, start).complete, limit)
        recovered = self._recovery(struck.hit, struck.healed, start)
        event = Event(fault, struck, recovered)
        self._plan.say(event.line)
        self.rest(max(0.0, begun + self._plan.every_seconds - time.monotonic()))
        yield event

    def _recovery(self, hit: float, healed: float, start: int) -> Recovery:
        flags = self._tail.flags[start:]
        return recovery(hit, healed, flags, self._plan.partitions, self._fleet.names)

    def _written(self) -> list[Written]:
        spoken = self._load.spoken
        return [
            Written(number, one.call, one.seq, one.label, one.dead, place)
            for number, place in list(self._tail.written)
            for one in [spoken[number]]
        ]

    def _all_done(self) -> bool:
        """Whether all that was acknowledged was seen, and all that must come of it."""
        written = self._written()
        done = {flag.place for flag in self._tail.flags} | set(self._tail.dead)
        return self._load.acknowledged() <= {record.number for record in written} and all(
            record.place in done for record in written if record.dead or record.label
        )

    def _wait(self, done: Callable[[], bool], seconds: float | None = None) -> bool:
        """Go on until `done`; return False where `seconds` passed, unset: the plan's patience."""
        deadline = time.monotonic() + (self._plan.patience_seconds if seconds is None else seconds)
        while not done():
            if time.monotonic() >= deadline:
                return False
            self._fleet.tend()
            self._usage.sample(self._fleet.processes)
            time.sleep(TICK_SECONDS)
        return True

    def _complain_and_raise(self) -> None:
        for ending in self._fleet.endings:
            self._plan.say(f"{ending.name} ended with {ending.status}:\n{ending.last_words}")
        raise TimeoutError("the workers did not come up")


def worker_settings(
    plan: Plan, directory: Path, there: Cluster
) -> Callable[[int], Mapping[str, str]]:
    """Return what gives a slot's environment."""
    common = {
        "KCGUARD_GROUP_ID": "chaos",
        "KCGUARD_SOURCE_TOPIC": SOURCE,
        "KCGUARD_FLAGS_TOPIC": FLAGS,
        "KCGUARD_DEAD_LETTERS_TOPIC": DEAD_LETTERS,
        "KCGUARD_HTTP_PORT": "0",
        # Small, so that faults find the worker between chunks and in the middle of them.
        "KCGUARD_MAX_CHUNK_RECORDS": "50",
        "KCGUARD_BUNDLE": str(plan.bundle.resolve() if plan.bundle else directory),
        # With words there is no bundle to look at.
        "KCGUARD_RELOAD_SECONDS": "10" if plan.bundle else "0",
        "CHAOS_SESSION_MS": str(int(plan.session_seconds * 1000)),
        "CHAOS_WORDS": "false" if plan.bundle else "true",
        "CHAOS_SECONDS_PER_TEXT": "0" if plan.bundle else str(plan.seconds_per_text),
    }
    return lambda slot: {**common, "KCGUARD_BOOTSTRAP_SERVERS": there.address(slot)}


def bundle_texts(bundle: Path) -> list[tuple[str, str]]:
    """Return what customers say in the demo's calls, each with the label the bundle gives it."""
    calls = [json.loads(line) for line in CALLS.read_text(encoding="utf-8").splitlines()]
    texts = [turn["text"] for call in calls for turn in call["turns"]]
    answer = subprocess.run(
        [sys.executable, "-m", "stream", "score", "--bundle", str(bundle)],
        cwd=ROOT,
        input="\n".join(texts),
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    verdicts = [json.loads(line) for line in answer.stdout.splitlines()]
    return [(verdict["text"], verdict["label"]) for verdict in verdicts]
