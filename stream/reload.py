"""Puts a new model or policy in the place of the old one while the worker works.

The new one is loaded and verified beside the old; the swap falls between two chunks. Whatever goes
wrong, the old one goes on judging, and a log line and a metric say so.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Hashable

from stream.errors import KcguardError, UnexpectedError
from stream.judge import Judge
from stream.ports import Observer

log = logging.getLogger(__name__)


class Reloader:
    """Loads when asked, and when what it watches changes.

    `load` returns a verified judge, or raises; it blocks, so it runs on a thread.
    `state` tells whether there is something new: equal for equal files. `seen` is its value from
    before the first load, so that no change in between is missed.
    """

    def __init__(
        self,
        load: Callable[[], Judge],
        swap: Callable[[Judge], None],
        state: Callable[[], Hashable],
        seen: Hashable,
        observer: Observer,
        every_seconds: float,
    ) -> None:
        self._load = load
        self._swap = swap
        self._state = state
        self._seen = seen
        self._observer = observer
        self._every_seconds = every_seconds
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Reload now, whether or not anything changed."""
        self._asked.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until `stop` is set."""
        while not stop.is_set():
            await self._wait(stop)
            state = await asyncio.to_thread(self._state)
            if stop.is_set() or not (self._asked.is_set() or state != self._seen):
                continue
            self._asked.clear()
            # Remembered also where it fails: half a bundle is tried again once the rest is there.
            self._seen = state
            await self._reload()

    async def _wait(self, stop: asyncio.Event) -> None:
        """Return at the next look at the files, when asked to reload, or at a stop."""
        waits = [asyncio.create_task(event.wait()) for event in (stop, self._asked)]
        timeout = self._every_seconds or None
        await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await wait

    async def _reload(self) -> None:
        try:
            judge = await asyncio.to_thread(self._load)
        except Exception as error:
            # Whatever it is: a model that cannot even be tried must not end the one that works.
            reason = error if isinstance(error, KcguardError) else UnexpectedError.of(error)
            log.error("not reloaded, the old model and policy go on: %s", reason)
            self._observer.reload(succeeded=False)
            return
        self._swap(judge)
        self._observer.reload(succeeded=True)
