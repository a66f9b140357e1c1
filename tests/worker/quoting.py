"""A worker whose model fails in words of the text it fails on: `python -m tests.worker.quoting`.

Everything else is the worker that ships, its settings from the environment.
"""

import sys
import threading
from collections.abc import Sequence

from stream import logs, service
from stream.errors import KcguardError, ModelFaultError
from stream.judge import Judge
from stream.metrics import Metrics
from stream.ports import Scored
from stream.settings import Settings
from tests import build
from tests.fakes import WordScorer

FAULT = "고장"
SURPRISE = "뜻밖"
HANG = "멈춤"


class Quoting(WordScorer):
    """Answers like its parent, but for the texts that hold one of the three words."""

    def score(self, texts: Sequence[str]) -> Scored:
        for text in texts:
            if HANG in text:
                threading.Event().wait()
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
    return Judge(Quoting(), build.policy(), outbox, metrics, config.max_record_bytes)


def main() -> int:
    """Run the worker; end as `stream.__main__` does."""
    config = Settings()
    logs.configure(config.log_level, config.log_format)
    try:
        return service.run(config, load_judge=judge)
    except KcguardError as error:
        print(error, file=sys.stderr)
        return getattr(error, "exit_code", 1)


if __name__ == "__main__":
    sys.exit(main())
