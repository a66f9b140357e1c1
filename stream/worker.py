"""The story of the worker: pull a chunk, judge it, publish what it gives rise to, commit it.

One task pulls, with one chunk prefetched; one task judges. A chunk is committed only after all
its flags and dead letters are acknowledged, so whatever dies, nothing is lost: at worst a chunk is
judged again and its flags carry the same ids. If either task dies, both end, and so does `run`.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from stream.errors import TransientError
from stream.judge import Judge
from stream.limits import DeadLetterLimit
from stream.ports import Broker, Chunk, Observer, Readiness, Stage
from stream.progress import Progress

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_BACKOFF_SECONDS = 10.0


class Worker:
    """Judges what the broker hands out; everything it needs of the world is handed in."""

    def __init__(
        self,
        *,
        broker: Broker,
        judge: Judge,
        limit: DeadLetterLimit,
        observer: Observer,
        readiness: Readiness,
        progress: Progress,
        now: Callable[[], float] = time.time,
        backoff_seconds: float = 0.5,
    ) -> None:
        self._judge = judge
        self._broker = broker
        self._limit = limit
        self._observer = observer
        self._readiness = readiness
        self._progress = progress
        self._now = now
        self._backoff_seconds = backoff_seconds
        # Exactly one chunk waits while another is judged: the model never idles, memory is bounded.
        self._prefetched: asyncio.Queue[Chunk | None] = asyncio.Queue(maxsize=1)
        self._in_flight = asyncio.Lock()
        self._chunk: Chunk | None = None
        # The model's owner: one thread, so that the event loop goes on answering heartbeats.
        self._model_thread = ThreadPoolExecutor(1, thread_name_prefix="model")

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then finish and commit the chunk in flight and return.

        Raises the first error of either task (FatalError where the worker itself gave up).
        """
        try:
            await self._broker.start(self.drain)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._pull(stop), name="pull")
                    tasks.create_task(self._judge_all(stop), name="judge")
            finally:
                await self._broker.stop()
        except ExceptionGroup as group:
            # The first cause tells the story; the other task was only cancelled.
            raise group.exceptions[0] from None
        finally:
            self._model_thread.shutdown(wait=False, cancel_futures=True)

    @property
    def in_flight(self) -> int:
        """How many records are being judged, published or committed."""
        return len(self._chunk.records) if self._chunk else 0

    def replace_judge(self, judge: Judge) -> None:
        """Let `judge` judge from the next chunk on; the old one goes when its chunk is done."""
        self._judge = judge

    async def drain(self) -> None:
        """Return once no chunk is in flight."""
        async with self._in_flight:
            return

    async def _pull(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                with self._progress.step("pull"):
                    chunk = await self._broker.pull()
            except TransientError as error:
                log.warning("%s; pulling again", error)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._backoff_seconds)
                continue
            lag = self._now() - min((r.timestamp for r in chunk.records), default=0) / 1000
            self._observer.chunk(len(chunk.records), lag if chunk.records else 0.0)
            if chunk.records:
                await self._prefetched.put(chunk)
        await self._prefetched.put(None)

    async def _judge_all(self, stop: asyncio.Event) -> None:
        while True:
            waited = time.perf_counter()
            chunk = await self._prefetched.get()
            self._observer.stage("wait", time.perf_counter() - waited)
            if chunk is None:
                return
            async with self._in_flight:
                # What was prefetched before a stop or a revocation is read again by its next owner.
                if not stop.is_set() and chunk.generation == self._broker.generation:
                    self._chunk = chunk
                    await self._process(chunk)
                    self._chunk = None

    async def _process(self, chunk: Chunk) -> None:
        with self._progress.step("judge"):
            judgement = await asyncio.get_running_loop().run_in_executor(
                self._model_thread, self._judge.judge, chunk.records
            )
        for dead in judgement.dead:
            self._limit.record(dead)
        with self._timed("publish"):
            await self._retried(lambda: self._broker.publish(judgement.messages))
        done = self._now()
        for flag in judgement.flags:
            self._observer.flag(flag.label_code, done - flag.timestamp / 1000)
        with self._timed("commit"):
            if not await self._retried(lambda: self._broker.commit(chunk)):
                log.info("revoked before the commit; the chunk will be judged again elsewhere")

    async def _retried(self, action: Callable[[], Awaitable[T]]) -> T:
        """Return what `action` returns, trying again for as long as its fault is transient.

        A stop does not end the retries, since the flags are owed: the stop's deadline does.
        """
        wait = self._backoff_seconds
        while True:
            try:
                result = await action()
            except TransientError as error:
                self._readiness.publishable = False
                self._observer.publish_retry()
                log.warning("%s; trying again in %.1f s", error, wait)
                await asyncio.sleep(wait)
                wait = min(2 * wait, MAX_BACKOFF_SECONDS)
            else:
                self._readiness.publishable = True
                return result

    @contextlib.contextmanager
    def _timed(self, stage: Stage) -> Iterator[None]:
        begun = time.perf_counter()
        with self._progress.step(stage):
            yield
        self._observer.stage(stage, time.perf_counter() - begun)
