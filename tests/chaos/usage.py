"""Memory and descriptors of processes over time, and whether they grow."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PAGE_KIB = 4


@dataclass(frozen=True)
class Slope:
    """A line fitted through samples: its growth an hour, and how far that may be from the truth."""

    mean: float
    per_hour: float
    error: float
    """The standard error of `per_hour`, from the scatter around the line."""
    noise: float
    """The standard deviation around the line."""


def fit(seconds: Sequence[float], values: Sequence[float]) -> Slope:
    """Return the least-squares line through at least three samples."""
    x, y = np.asarray(seconds) / 3600, np.asarray(values, dtype=float)
    x = x - x.mean()
    slope = float(x @ (y - y.mean()) / (x @ x))
    rest = y - y.mean() - slope * x
    variance = float(rest @ rest) / (len(x) - 2)
    error = float(np.sqrt(variance / (x @ x)))
    return Slope(float(y.mean()), slope, error, float(np.sqrt(variance)))


class Usage:
    """Samples living processes every `every_seconds`; a process's first `warm_up_seconds` go."""

    def __init__(self, every_seconds: float = 5.0, warm_up_seconds: float = 60.0) -> None:
        self._every_seconds = every_seconds
        self._warm_up_seconds = warm_up_seconds
        self._next = 0.0
        self._samples: dict[str, list[tuple[float, int, int]]] = {}

    def sample(self, processes: Iterable[tuple[str, int]]) -> None:
        """Sample each (name, process id), where it is time to; one that is gone is left out."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + self._every_seconds
        for name, process in processes:
            try:
                pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
                descriptors = sum(1 for _ in Path(f"/proc/{process}/fd").iterdir())
            except OSError:
                continue
            self._samples.setdefault(name, []).append((now, pages * PAGE_KIB, descriptors))

    def slopes(self, least_seconds: float = 120.0) -> list[dict[str, object]]:
        """Return the slopes of each process that was seen for `least_seconds` after warming up."""
        found: list[dict[str, object]] = []
        for name, samples in self._samples.items():
            warm = [s for s in samples if s[0] >= samples[0][0] + self._warm_up_seconds]
            if len(warm) < 3 or warm[-1][0] - warm[0][0] < least_seconds:
                continue
            times, memory, descriptors = zip(*warm, strict=True)
            found.append(
                {
                    "worker": name,
                    "seconds": round(times[-1] - times[0]),
                    "samples": len(warm),
                    "rss_kib": _rounded(fit(times, memory)),
                    "descriptors": _rounded(fit(times, descriptors)),
                }
            )
        return found


def _rounded(slope: Slope) -> dict[str, float]:
    return {name: round(value, 2) for name, value in vars(slope).items()}
