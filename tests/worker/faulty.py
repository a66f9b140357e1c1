"""A worker whose model of words goes wrong on some texts: `python -m tests.worker.faulty`.

Everything else is the worker that ships, its settings from the environment.
"""

import sys
import threading
import time
from collections.abc import Sequence

from stream import logs, service
from stream.errors import FatalError, KcguardError, ModelFaultError
from stream.judge import Judge
from stream.metrics import Metrics
from stream.ports import Scored
from stream.settings import Settings
from tests import build
from tests.fakes import WordScorer

HANG = "멈춤"
SLOW = "천천히"
FAULT = "고장"
SURPRISE = "뜻밖"


class Faulty(WordScorer):
    """Answers like its parent, but for texts that hold one of the four words.

    It hangs for ever, is ten seconds late, or fails in words that quote the text.
    """

    def score(self, texts: Sequence[str]) -> Scored:
        for text in texts:
            if HANG in text:
                threading.Event().wait()
            if SLOW in text:
                time.sleep(10)
            if SURPRISE in text:
                try:
                    raise ValueError(f"first cause: {text}")
                except ValueError as error:
                    raise RuntimeError(f"cannot run on {text!r}") from error
            if FAULT in text:
                raise ModelFaultError(f"no luck with {text!r}")
        return super().score(texts)


def judge(config: Settings, metrics: Metrics) -> Judge:
    outbox = build.outbox(
        flags_topic=config.flags_topic, dead_letters_topic=config.dead_letters_topic
    )
    return Judge(Faulty(), build.policy(), outbox, metrics, config.max_record_bytes)


def main() -> int:
    """Run the worker; end as `stream.__main__` does."""
    config = Settings()
    logs.configure(config.log_level, config.log_format)
    try:
        return service.run(config, load_judge=judge)
    except KcguardError as error:
        print(error, file=sys.stderr)
        return error.exit_code if isinstance(error, FatalError) else 1


if __name__ == "__main__":
    sys.exit(main())
