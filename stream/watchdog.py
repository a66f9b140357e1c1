"""Says, once per hang, what does not move and where every thread stands.

A thread of its own, so that a blocked event loop is seen as well. `/livez` reads the same
`Progress`; this is for whoever looks for the reason afterwards.
"""

import logging
import sys
import threading
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Self

from stream.progress import Progress

log = logging.getLogger(__name__)


class Watchdog:
    """Watches while the context is open."""

    def __init__(
        self, progress: Progress, on_stall: Callable[[], None], every_seconds: float = 1.0
    ) -> None:
        self._progress = progress
        self._on_stall = on_stall
        self._every_seconds = every_seconds
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        stalled = False
        while not self._closed.wait(self._every_seconds):
            reason = self._progress.stalled()
            if reason and not stalled:
                self._on_stall()
                log.error("no progress: %s; the threads stand at\n%s", reason, stacks())
            elif stalled and not reason:
                log.warning("progress again")
            stalled = bool(reason)


def stacks() -> str:
    """Return where every thread stands: files, lines and functions, never a value."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    parts = []
    for identity, frame in sys._current_frames().items():
        places = [
            f"  {place.filename}:{place.lineno} in {place.name}"
            for place in traceback.StackSummary.extract(
                traceback.walk_stack(frame), lookup_lines=False
            )
        ]
        parts.append("\n".join([f"thread {names.get(identity, identity)}", *places]))
    return "\n".join(parts)
