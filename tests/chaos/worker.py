"""`python -m tests.chaos.worker`: the worker, around parts that may kill it where it hurts.

Everything but these parts is the one that ships. The settings are the worker's own, and those of
`Orders`.
"""

import asyncio
import ctypes
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from stream import logs
from stream.broker import KafkaBroker, KafkaConfig
from stream.errors import FatalError
from stream.judge import Judge
from stream.messages import Outbox
from stream.metrics import Metrics
from stream.policy import Policy
from stream.ports import Chunk, Message, Scored, Scorer
from stream.schema import ABUSE, SEXUAL_HARASSMENT, ModelIdentity
from stream.service import run, verified_judge, worker_version
from stream.settings import Settings
from tests.chaos.script import WORKER
from tests.fakes import WordScorer

_PR_SET_PDEATHSIG = 1


class Orders(BaseSettings):
    """What the fleet tells a worker of its own."""

    model_config = SettingsConfigDict(env_prefix="CHAOS_", frozen=True)

    name: str
    die: Path = Field(description="A file that names the stage to die at; gone once that is done.")
    session_ms: int
    seconds_per_text: float = Field(description="What a text takes the scorer of words.")
    words: bool = Field(description="Judge by words, or else by the bundle.")

    def died(self, stage: str) -> bool:
        """Return whether to die at `stage`, now."""
        try:
            if self.die.read_text(encoding="utf-8") != stage:
                return False
        except OSError:
            return False
        self.die.unlink()
        return True


def die() -> None:
    """End as `kill -9` ends a process."""
    os.kill(os.getpid(), signal.SIGKILL)


class MortalBroker(KafkaBroker):
    """The real broker, which kills the process around and inside its calls when ordered to."""

    def __init__(
        self, config: KafkaConfig, on_rebalance: Callable[[], None], orders: Orders
    ) -> None:
        super().__init__(config, on_rebalance)
        self._orders = orders

    async def pull(self) -> Chunk:
        chunk = await super().pull()
        if chunk.records and self._orders.died("pulled"):
            die()
        return chunk

    async def publish(self, messages: Sequence[Message]) -> None:
        signed = [
            replace(message, headers=[*message.headers, (WORKER, self._orders.name.encode())])
            for message in messages
        ]
        if messages and self._orders.died("publishing"):
            task = asyncio.ensure_future(super().publish(signed))
            # Long enough for some of it to be sent, too short for all of it to be acknowledged.
            await asyncio.wait((task,), timeout=random.uniform(0, 0.004))
            die()
        await super().publish(signed)
        if messages and self._orders.died("published"):
            die()

    async def commit(self, chunk: Chunk) -> bool:
        if self._orders.died("committing"):
            task = asyncio.ensure_future(super().commit(chunk))
            await asyncio.wait((task,), timeout=random.uniform(0, 0.002))
            die()
        return await super().commit(chunk)


class MortalScorer:
    """A scorer that takes its time and kills the process in the middle of a batch when ordered."""

    def __init__(self, scorer: Scorer, orders: Orders) -> None:
        self._scorer = scorer
        self._orders = orders

    def score(self, texts: Sequence[str]) -> Scored:
        seconds = len(texts) * self._orders.seconds_per_text
        time.sleep(seconds / 2)
        if self._orders.died("inferring"):
            die()
        time.sleep(seconds / 2)
        return self._scorer.score(texts)


class ForgetfulWordScorer(WordScorer):
    """A scorer of words that keeps nothing: its memory must not grow."""

    def score(self, texts: Sequence[str]) -> Scored:
        self.texts.clear()
        return super().score(texts)


def word_judge(config: Settings, metrics: Metrics) -> Judge:
    """Return a judge that reads its verdicts off the text."""
    outbox = Outbox(
        flags_topic=config.flags_topic,
        dead_letters_topic=config.dead_letters_topic,
        text_mode=config.flag_text,
        model=ModelIdentity(name="words", version="1", sha256="0" * 64),
        group_id=config.group_id,
        worker_version=worker_version(),
    )
    policy = Policy(thresholds={ABUSE: 0.5, SEXUAL_HARASSMENT: 0.5}, second_view=False)
    return Judge(ForgetfulWordScorer(), policy, outbox, metrics, config.max_record_bytes)


def _die_with_the_parent() -> None:
    """Let the kernel kill this process when the run ends, however that ends (on Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> int:
    """Serve until a signal, as `kcguard-stream run` does; return the exit status."""
    _die_with_the_parent()
    config, orders = Settings(), Orders()
    logs.configure(config.log_level, config.log_format)

    def load_judge(config: Settings, metrics: Metrics) -> Judge:
        judge = (word_judge if orders.words else verified_judge)(config, metrics)
        judge.scorer = MortalScorer(judge.scorer, orders)
        return judge

    def connect(config: KafkaConfig, on_rebalance: Callable[[], None]) -> MortalBroker:
        quick = replace(config, session_timeout_ms=orders.session_ms)
        return MortalBroker(quick, on_rebalance, orders)

    try:
        return run(config, load_judge, connect)
    except FatalError as error:
        print(f"kcguard-stream: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
