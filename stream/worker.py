"""The story of the worker: pull a chunk, judge it, publish what it gives rise to, commit it.

One task pulls, with one chunk prefetched; one task judges. A chunk is committed only after all
its flags and dead letters are acknowledged, so whatever dies, nothing is lost: at worst a chunk is
judged again and its flags carry the same ids. If either task dies, both end, and so does `run`.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from stream.deobfuscate import second_views
from stream.errors import BadRecordError, TransientError
from stream.limits import DeadLetterLimit
from stream.messages import Outbox, dead_letter_message, flag_message
from stream.policy import Policy, Verdict, decide, decide_views, skip_reason
from stream.ports import Broker, Chunk, Message, Observer, Readiness, Record, Scored, Scorer, Stage
from stream.schema import LABEL_CODES, Utterance, parse_utterance

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_BACKOFF_SECONDS = 10.0


@dataclass(frozen=True)
class Flagged:
    """What is counted for a flag once it is acknowledged."""

    label_code: str
    timestamp: int


class Worker:
    """Judges what the broker hands out; everything it needs of the world is handed in."""

    def __init__(
        self,
        *,
        broker: Broker,
        scorer: Scorer,
        policy: Policy,
        outbox: Outbox,
        limit: DeadLetterLimit,
        observer: Observer,
        readiness: Readiness,
        max_record_bytes: int,
        now: Callable[[], float] = time.time,
        backoff_seconds: float = 0.5,
    ) -> None:
        self._broker = broker
        self._scorer = scorer
        self._policy = policy
        self._outbox = outbox
        self._limit = limit
        self._observer = observer
        self._readiness = readiness
        self._max_record_bytes = max_record_bytes
        self._now = now
        self._backoff_seconds = backoff_seconds
        # Exactly one chunk waits while another is judged: the model never idles, memory is bounded.
        self._prefetched: asyncio.Queue[Chunk | None] = asyncio.Queue(maxsize=1)
        self._in_flight = asyncio.Lock()
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

    async def drain(self) -> None:
        """Return once no chunk is in flight."""
        async with self._in_flight:
            return

    async def _pull(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
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
                    await self._process(chunk)

    async def _process(self, chunk: Chunk) -> None:
        messages, flags = await self._judge(chunk.records)
        with self._timed("publish"):
            await self._retried(lambda: self._broker.publish(messages))
        done = self._now()
        for flag in flags:
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

    async def _judge(self, records: Sequence[Record]) -> tuple[list[Message], list[Flagged]]:
        """Return what `records` give rise to, in their order, and what to count for it."""
        with self._timed("parse"):
            parsed = [self._parse(record) for record in records]
        for item in parsed:
            self._limit.record(isinstance(item, BadRecordError))
        judged = [
            item
            for item in parsed
            if isinstance(item, Utterance) and not skip_reason(item, self._policy.judged_speakers)
        ]
        scored, second = await asyncio.get_running_loop().run_in_executor(
            self._model_thread, self._score, [utterance.text for utterance in judged]
        )
        self._observer.stage("tokenise", scored.tokenise_seconds)
        self._observer.stage("infer", scored.infer_seconds)
        self._observer.truncated(scored.truncated)
        rows = iter(range(len(judged)))
        detected_at = datetime.fromtimestamp(self._now(), UTC)
        messages: list[Message] = []
        flags: list[Flagged] = []
        for record, item in zip(records, parsed, strict=True):
            if isinstance(item, BadRecordError):
                messages.append(dead_letter_message(record, item, "parse", self._outbox))
                self._observer.outcome("dead_lettered")
                self._observer.dead_letter(item.disposition)
            elif skipped := skip_reason(item, self._policy.judged_speakers):
                self._observer.outcome(skipped)
            else:
                verdict = self._verdict(scored, row := next(rows), second.get(row))
                if verdict.flagged:
                    message = flag_message(
                        record, item, verdict, self._policy, self._outbox, detected_at
                    )
                    messages.append(message)
                    flags.append(Flagged(LABEL_CODES[verdict.label], record.timestamp))
        return messages, flags

    def _score(self, texts: list[str]) -> tuple[Scored, dict[int, int]]:
        """Return the scores of `texts` and, behind them, of the second views that differ.

        Also the row of the second view by that of its text. Runs on the model's thread.
        """
        views = second_views(texts) if self._policy.second_view else {}
        rows = {row: len(texts) + number for number, row in enumerate(views)}
        return self._scorer.score([*texts, *views.values()]), rows

    def _verdict(self, scored: Scored, row: int, second: int | None) -> Verdict:
        """Return the verdict for the text in `row`, and report how it was come by."""
        thresholds = self._policy.thresholds
        verdict = decide(scored.scores[row], thresholds)
        self._observer.outcome("empty" if scored.empty[row] and second is None else "judged")
        if second is None:
            return verdict
        stronger = decide_views([scored.scores[row], scored.scores[second]], thresholds)
        self._observer.second_view(changed=stronger.label != verdict.label)
        return stronger

    def _parse(self, record: Record) -> Utterance | BadRecordError:
        try:
            return parse_utterance(record.key, record.value, self._max_record_bytes)
        except BadRecordError as error:
            return error

    @contextlib.contextmanager
    def _timed(self, stage: Stage) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self._observer.stage(stage, time.perf_counter() - begun)
