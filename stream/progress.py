"""What the worker has in hand, and since when: how a hang is told from having nothing to do. Pure.

Polling Kafka goes on while a model hangs, so the broker never notices; only work that ends, or
does not, tells the difference.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Progress:
    """The steps under way. Written by the worker, read from any thread.

    A step is in a dictionary while it lasts; every access is one operation on it, so no lock is
    needed, and a reader never waits for a worker that hangs.
    """

    def __init__(self, limit_seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self.limit_seconds = limit_seconds
        self._now = now
        self._since: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Hold `name` as under way while the context lasts; one of a name at a time."""
        self._since[name] = self._now()
        try:
            yield
        finally:
            self._since.pop(name, None)

    def stalled(self) -> str | None:
        """Return what has been under way for longer than the limit, for people; else None."""
        now = self._now()
        late = [(now - since, name) for name, since in list(self._since.items())]
        seconds, name = max(late, default=(0.0, ""))
        return f"{name} for {seconds:.0f} s" if seconds > self.limit_seconds else None
