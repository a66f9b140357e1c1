"""A worker whose model of words is slow on one text and hangs for ever on another.

`python -m tests.worker.faulty`.

Everything else is the worker that ships, its settings from the environment.
"""

import sys
import threading
import time
from collections.abc import Sequence

from stream import logs, service
from stream.errors import KcguardError
from stream.judge import Judge
from stream.metrics import Metrics
from stream.ports import Scored
from stream.settings import Settings
from tests import build
from tests.fakes import WordScorer

HANGS = "멈춤"
SLOW = "욕 천천히"


class Faulty(WordScorer):
    """Answers like its parent; late on a chunk that holds `SLOW`, never where it holds `HANGS`."""

    def score(self, texts: Sequence[str]) -> Scored:
        if HANGS in texts:
            threading.Event().wait()
        if SLOW in texts:
            time.sleep(10)
        return super().score(texts)


def judge(config: Settings, metrics: Metrics) -> Judge:
    outbox = build.outbox(
        flags_topic=config.flags_topic, dead_letters_topic=config.dead_letters_topic
    )
    return Judge(Faulty(), build.policy(), outbox, metrics, config.max_record_bytes)


def main() -> int:
    config = Settings()
    logs.configure(config.log_level, config.log_format)
    try:
        return service.run(config, load_judge=judge)
    except KcguardError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
