"""The story of a replay, with time that moves only when the story listens."""

from collections import deque
from collections.abc import Sequence

import pytest

from stream.demo.replay import Spoken
from stream.demo.session import Progress, run
from stream.demo.summary import SeenFlag
from stream.demo.worker import WorkerFailedError
from tests.demo.builders import seen, spoken


class FakeWorld:
    """Voice, ear, worker and screen in one: a worker that flags whatever it is told to.

    `reads` is how many of the utterances said it reads; `late` are flags that reach the topic
    only when it has been asked to stop.
    """

    def __init__(
        self,
        flags: Sequence[SeenFlag] = (),
        *,
        late: Sequence[SeenFlag] = (),
        reads: int = 1_000,
        dies: bool = False,
    ) -> None:
        self.now = 100.0
        self.said: list[tuple[float, str]] = []
        self.shown: list[SeenFlag] = []
        self.last: Progress | None = None
        self.stopped = 0
        self.delivered = 0
        self._topic = deque(flags)
        self._late = late
        self._reads = reads
        self._dies = dies

    def clock(self) -> float:
        return self.now

    def say(self, spoken: Spoken) -> None:
        self.said.append((round(self.now - 100.0, 1), spoken.utterance_id))

    def settle(self) -> None:
        self.delivered = len(self.said)

    def poll(self, within_s: float) -> SeenFlag | None:
        self.now += within_s
        return self._topic.popleft() if self._topic else None

    def at_end(self) -> bool:
        return not self._topic

    @property
    def running(self) -> bool:
        return self.stopped == 0

    def check(self) -> None:
        if self._dies:
            raise WorkerFailedError("the worker ended, exit code 3")

    def records_read(self) -> int | None:
        return min(self._reads, len(self.said))

    def ask_to_stop(self) -> None:
        self.stopped += 1
        self._topic.extend(self._late)

    def flag(self, seen: SeenFlag) -> None:
        self.shown.append(seen)

    def progress(self, progress: Progress) -> None:
        self.last = progress


def test_each_utterance_is_said_when_it_has_been_spoken() -> None:
    """Records leave in order, each at the end of its turn and not before."""
    world = FakeWorld()
    turns = [spoken(0, ended_s=1.0), spoken(1, ended_s=2.5)]
    run(turns, world, world, world, world, clock=world.clock)
    assert [(1.0, "c1-000"), (2.5, "c1-001")] == world.said


def test_the_last_flags_are_read_after_the_worker_has_left() -> None:
    """Flags that the worker published while stopping belong to the outcome too."""
    world = FakeWorld([seen(0)], late=[seen(1), seen(2)])
    outcome = run([spoken(0)], world, world, world, world, clock=world.clock)
    assert [seen(0), seen(1), seen(2)] == outcome.seen
    assert 1 == outcome.read
    assert 1 == world.stopped


def test_a_redelivered_flag_is_shown_once() -> None:
    """Flags with one event id are one flag; the first arrival counts."""
    world = FakeWorld([seen(0, latency_ms=5), seen(0, latency_ms=50), seen(1)])
    outcome = run([spoken(0)], world, world, world, world, clock=world.clock)
    assert [seen(0, latency_ms=5), seen(1)] == outcome.seen
    assert outcome.seen == world.shown


def test_a_worker_that_reads_too_little_is_not_waited_for_without_end() -> None:
    """Past the deadline the replay ends with what was read, and the worker is asked to stop."""
    world = FakeWorld(reads=1)
    outcome = run([spoken(0), spoken(1)], world, world, world, world, clock=world.clock)
    assert (1, 1) == (outcome.read, world.stopped)
    assert True is (world.now - 100.0 < 120.0)


def test_a_worker_that_dies_ends_the_replay() -> None:
    """What the worker died of is raised; nobody waits for the deadline."""
    world = FakeWorld(dies=True)
    with pytest.raises(WorkerFailedError, match="exit code 3"):
        run([spoken(0)], world, world, world, world, clock=world.clock)


def test_the_screen_learns_where_the_replay_stands() -> None:
    """The last progress shows everything sent, read and flagged, and the last flag's age."""
    world = FakeWorld([seen(0)])
    run([spoken(0, ended_s=1.0)], world, world, world, world, clock=world.clock)
    assert world.last is not None
    expected = (1, 1, 1, 1)
    assert expected == (world.last.total, world.last.sent, world.last.read, world.last.flags)
    assert world.last.since_last_flag_s is not None


def test_an_empty_replay_ends_at_once() -> None:
    """Nothing to say is nothing to wait for."""
    world = FakeWorld()
    outcome = run([], world, world, world, world, clock=world.clock)
    assert ([], 0, 1) == (outcome.seen, outcome.read, world.stopped)
