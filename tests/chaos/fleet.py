"""The workers as processes: started, broken, and started again as an orchestrator would."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 60.0
SERVES = "metrics at"
"""What a worker logs when it has loaded and takes signals."""
NO_KAFKA = 2
"""The status of a worker that finds no Kafka at its start, as one started into an outage does."""


@dataclass(frozen=True)
class Ending:
    """How a worker ended: `killed` by a fault, else `asked` to by a SIGTERM, else by itself.

    `served` says whether it had come as far as asking Kafka for records.
    """

    name: str
    status: int
    asked: bool
    killed: bool
    served: bool
    last_words: str

    @property
    def fair(self) -> bool:
        """Whether a worker may end so: a signal that comes while it loads has nothing to drain."""
        if self.killed:
            return True
        if self.asked:
            return self.status == 0 or (self.status == -signal.SIGTERM and not self.served)
        return self.status == NO_KAFKA


@dataclass
class _Member:
    name: str
    process: subprocess.Popen[bytes]
    log: Path
    asked: bool = False
    killed: bool = False


class Fleet:
    """Workers in numbered slots. Those under `size` are kept alive by `tend`; more may join.

    `settings` gives a slot's environment. Leaving the context kills what is left.
    """

    def __init__(
        self, size: int, directory: Path, settings: Callable[[int], Mapping[str, str]]
    ) -> None:
        self.size = size
        self.endings: list[Ending] = []
        self._directory = directory
        self._settings = settings
        self._members: dict[int, _Member] = {}
        self._started = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for member in self._members.values():
            member.process.kill()
            member.process.wait()

    @property
    def names(self) -> set[str]:
        """The names of those in the slots that are kept."""
        return {member.name for slot, member in self._members.items() if slot < self.size}

    @property
    def processes(self) -> list[tuple[str, int]]:
        return [(member.name, member.process.pid) for member in self._members.values()]

    def tend(self) -> None:
        """Note who ended, and fill the slots that are kept."""
        for slot in list(self._members):
            if self._members[slot].process.poll() is not None:
                self._bury(slot)
        for slot in range(self.size):
            if slot not in self._members:
                self.start(slot)

    def start(self, slot: int) -> str:
        """Start a worker in an empty slot and return its name, which no other worker has."""
        assert slot not in self._members
        self._started += 1
        name = f"{slot}-{self._started}"
        log = self._directory / f"worker-{name}.log"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("KCGUARD_")}
        orders = {"CHAOS_NAME": name, "CHAOS_DIE": str(self._orders(slot))}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.worker"],
                cwd=ROOT,
                env={**inherited, **self._settings(slot), **orders},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the run, which then ends its workers in its own order.
                start_new_session=True,
            )
        self._members[slot] = _Member(name, process, log)
        return name

    def kill(self, slot: int) -> None:
        """Kill the worker as `kill -9` does."""
        member = self._members[slot]
        member.killed = True
        member.process.kill()
        member.process.wait()
        self._bury(slot)

    def kill_at(self, slot: int, stage: str, seconds: float) -> bool:
        """Let the worker kill itself at `stage`; return whether it came there in time.

        If it did not, it is killed where it is.
        """
        member = self._members[slot]
        member.killed = True
        self._orders(slot).write_text(stage, encoding="utf-8")
        try:
            member.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._orders(slot).unlink(missing_ok=True)
            self.kill(slot)
            return False
        self._bury(slot)
        return True

    def freeze(self, slot: int) -> None:
        """Stop the process; its connections stay open."""
        self._members[slot].process.send_signal(signal.SIGSTOP)

    def thaw(self, slot: int) -> None:
        """Let a frozen process go on."""
        self._members[slot].process.send_signal(signal.SIGCONT)

    def terminate(self, slot: int) -> None:
        """Send SIGTERM and wait for the end; a worker that does not come to one is killed."""
        if slot in self._members:
            self._ask(slot)
            self._await_end(slot)

    def terminate_all(self) -> None:
        """Send SIGTERM to all at once, and wait for their ends."""
        for slot in self._members:
            self._ask(slot)
        for slot in list(self._members):
            self._await_end(slot)

    def _ask(self, slot: int) -> None:
        self._members[slot].asked = True
        self._members[slot].process.send_signal(signal.SIGTERM)

    def _await_end(self, slot: int) -> None:
        try:
            self._members[slot].process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # Buried with status -9, which is no fair end for one that was asked.
            self._members[slot].process.kill()
            self._members[slot].process.wait()
        self._bury(slot)

    def _bury(self, slot: int) -> None:
        member = self._members.pop(slot)
        log = member.log.read_text(encoding="utf-8", errors="replace")
        self.endings.append(
            Ending(
                name=member.name,
                status=member.process.returncode,
                asked=member.asked,
                killed=member.killed,
                served=SERVES in log,
                last_words="\n".join(log.splitlines()[-8:]),
            )
        )

    def _orders(self, slot: int) -> Path:
        return self._directory / f"die-{slot}"
