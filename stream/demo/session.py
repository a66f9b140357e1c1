"""The story of one replay: speak, watch, stop the worker, read its last flags."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from stream.demo.replay import Spoken
from stream.demo.summary import SeenFlag

_TICK_S: Final = 0.05
_LOOK_S: Final = 0.5
# From the last turn on: time for a slow machine to read and judge what is left, then to stop.
_DRAIN_S: Final = 90.0
_STOP_S: Final = 15.0


class Voice(Protocol):
    """Where utterances go. `delivered` counts what the broker has taken."""

    delivered: int

    def say(self, spoken: Spoken) -> None: ...
    def settle(self) -> None: ...


class Ear(Protocol):
    """Where flags come from. `poll` returns within about `within_s`."""

    def poll(self, within_s: float) -> SeenFlag | None: ...
    def at_end(self) -> bool: ...


class Watched(Protocol):
    """The worker, from outside. `check` raises where it has ended unasked."""

    @property
    def running(self) -> bool: ...
    def check(self) -> None: ...
    def records_read(self) -> int | None: ...
    def ask_to_stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the replay stands; times in seconds."""

    elapsed_s: float
    total: int
    sent: int
    read: int
    flags: int
    since_last_flag_s: float | None


class Screen(Protocol):
    """Who watches. `progress` is called many times a second and decides itself what to show."""

    def flag(self, seen: SeenFlag) -> None: ...
    def progress(self, progress: Progress) -> None: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: the flags, each event once, and how many records the worker read."""

    seen: list[SeenFlag]
    read: int


def run(
    spoken: Sequence[Spoken],
    voice: Voice,
    ear: Ear,
    worker: Watched,
    screen: Screen,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Replay `spoken`, which is in order of ends, and return when its flags have been read.

    The worker is asked to stop as soon as its counter shows that it has read everything, or when
    `_DRAIN_S` have passed since the last turn. Only when it has left is the flags topic read to its
    end: a worker that stops drains first, so nothing can follow. What `worker.check` raises passes.
    """
    pending = deque(spoken)
    seen: list[SeenFlag] = []
    events: set[UUID] = set()
    began = clock()
    deadline = began + max((one.ended_s for one in spoken), default=0.0) + _DRAIN_S
    read = 0
    last_flag_at: float | None = None
    next_look = began

    def listen() -> None:
        nonlocal last_flag_at
        flag = ear.poll(_TICK_S)
        now = clock()
        if flag is not None and flag.flag.event_id not in events:
            events.add(flag.flag.event_id)
            seen.append(flag)
            last_flag_at = now
            screen.flag(flag)
        age = None if last_flag_at is None else now - last_flag_at
        sent = len(spoken) - len(pending)
        screen.progress(Progress(now - began, len(spoken), sent, read, len(seen), age))

    while (pending or read < len(spoken)) and clock() < deadline:
        while pending and pending[0].ended_s <= clock() - began:
            voice.say(pending.popleft())
        voice.settle()
        if clock() >= next_look:
            worker.check()
            # A late answer keeps the last number: the counter only grows.
            read = worker.records_read() or read
            next_look = clock() + _LOOK_S
        listen()

    worker.ask_to_stop()
    deadline = clock() + _STOP_S
    while (worker.running or not ear.at_end()) and clock() < deadline:
        listen()
    return Outcome(seen, read)
