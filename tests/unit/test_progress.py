"""How a hang is told from having nothing to do."""

import logging
import threading

import pytest

from stream.progress import Progress
from stream.watchdog import Watchdog, stacks


def test_only_a_step_under_way_can_stall() -> None:
    """Idleness never stalls; of the steps under way the one that lasts longest is named."""
    now = [0.0]
    progress = Progress(10.0, now=lambda: now[0])
    now[0] = 100.0
    assert progress.stalled() is None
    with progress.step("judge"):
        now[0] = 105.0
        with progress.step("pull"):
            now[0] = 110.0
            assert progress.stalled() is None
            now[0] = 111.0
            assert "judge for 11 s" == progress.stalled()
    assert progress.stalled() is None


def test_the_watchdog_reports_a_hang_once_and_its_end(caplog: pytest.LogCaptureFixture) -> None:
    """One report a hang, with the stacks of all threads; then one that it is over."""
    now, looks = [0.0], threading.Semaphore(0)
    progress = Progress(10.0, now=lambda: looks.release() or now[0])  # type: ignore[func-returns-value]  # counts the looks
    stalls: list[None] = []
    with caplog.at_level(logging.WARNING), Watchdog(progress, lambda: stalls.append(None), 0.001):
        with progress.step("publish"):
            now[0] = 11.0
            for _ in range(5):
                assert looks.acquire(timeout=20)
        for _ in range(5):
            assert looks.acquire(timeout=20)

    assert [None] == stalls
    first, last = (record.getMessage() for record in caplog.records)
    assert first.startswith("no progress: publish for 11 s")
    assert "thread watchdog" in first
    assert "progress again" == last


def test_stacks_show_places_and_no_values() -> None:
    """A dump names files, lines and functions, and holds nothing that a variable holds."""
    secret = "비밀번호일이삼사"

    def inner(_: str) -> str:
        return stacks()

    shown = inner(secret)
    assert "test_progress.py" in shown
    assert "in inner" in shown
    assert secret not in shown
