"""When dead letters stop being single bad records and become a bad deploy. Pure."""

from collections import deque

from stream.errors import DeadLetterLimitError


class DeadLetterLimit:
    """Watches the share and the runs of dead letters over the last `window` records.

    Past either limit the worker stops and lets the backlog build: that can be undone, a topic
    poured into the dead letters hardly.
    """

    def __init__(self, max_ratio: float, max_consecutive: int, window: int = 1000) -> None:
        self._max_ratio = max_ratio
        self._max_consecutive = max_consecutive
        self._recent: deque[bool] = deque(maxlen=window)
        self._dead = 0
        self._consecutive = 0

    def record(self, dead: bool) -> None:
        """Count one record; raise DeadLetterLimitError where a limit is passed."""
        if len(self._recent) == self._recent.maxlen:
            self._dead -= self._recent[0]
        self._recent.append(dead)
        self._dead += dead
        self._consecutive = self._consecutive + 1 if dead else 0
        if self._consecutive > self._max_consecutive:
            raise DeadLetterLimitError(
                f"{self._consecutive} dead letters in a row, over the {self._max_consecutive} "
                "allowed (KCGUARD_DEAD_LETTER_MAX_CONSECUTIVE); look at the producer of the topic"
            )
        # A ratio over a handful of records says nothing: judged once the window is full.
        if len(self._recent) == self._recent.maxlen and self._dead > self._max_ratio * len(
            self._recent
        ):
            raise DeadLetterLimitError(
                f"{self._dead} of the last {len(self._recent)} records are dead letters, over the "
                f"ratio {self._max_ratio} allowed (KCGUARD_DEAD_LETTER_MAX_RATIO); look at the "
                "producer of the topic"
            )
