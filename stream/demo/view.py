"""What a supervisor sees: flags as they arrive, and the summary at the end. Korean throughout."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta, timezone
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from stream.demo.session import Progress, Screen
from stream.demo.summary import SeenFlag, Summary
from stream.schema import ABUSE, SEXUAL_HARASSMENT, Flag, Speaker

_KST: Final = timezone(timedelta(hours=9))
_SPEAKERS: Final = {Speaker.CUSTOMER: "고객", Speaker.AGENT: "상담원", Speaker.UNKNOWN: "미상"}
_SEVERITIES: Final = {"low": "낮음", "medium": "보통", "high": "높음"}
_STYLES: Final = {ABUSE: "bold yellow", SEXUAL_HARASSMENT: "bold white on red"}
_REFRESH_S: Final = 0.25
_PLAIN_EVERY_S: Final = 10.0
# Header, borders and column titles of the live view, and a line for the cursor.
_FRAME_LINES: Final = 10


@contextmanager
def screen(console: Console, metrics_url: str) -> Iterator[Screen]:
    """Yield a live table where `console` is a terminal, and plain lines elsewhere."""
    if not console.is_terminal:
        yield PlainScreen(console, metrics_url)
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        yield LiveScreen(live, metrics_url)


class LiveScreen:
    """A table of the latest flags under a header, redrawn a few times a second."""

    def __init__(self, live: Live, metrics_url: str) -> None:
        self._live = live
        self._metrics_url = metrics_url
        self._latest: deque[Flag] = deque(maxlen=max(3, live.console.height - _FRAME_LINES))
        self._drawn_at: float | None = None
        self._changed = False

    def flag(self, seen: SeenFlag) -> None:
        self._latest.append(seen.flag)
        self._changed = True

    def progress(self, progress: Progress) -> None:
        due = self._drawn_at is None or progress.elapsed_s - self._drawn_at >= _REFRESH_S
        if self._changed or due:
            self._drawn_at, self._changed = progress.elapsed_s, False
            self._live.update(Group(self._header(progress), self._table()), refresh=True)

    def _header(self, progress: Progress) -> Panel:
        body = Text(f"지표 {self._metrics_url}\n{_counts(progress)}")
        return Panel(body, title="kcguard 데모: 상담 통화 감시", title_align="left")

    def _table(self) -> Table:
        table = Table(expand=True)
        for name in ("시각", "통화", "화자", "판정", "심각도"):
            table.add_column(name, no_wrap=True)
        table.add_column("점수", justify="right", no_wrap=True)
        table.add_column("발화", ratio=1, no_wrap=True, overflow="ellipsis")
        for flag in self._latest:
            table.add_row(*_cells(flag))
        return table


class PlainScreen:
    """A line for each flag, and one about the progress now and then."""

    def __init__(self, console: Console, metrics_url: str) -> None:
        self._console = console
        self._next_progress_s = 0.0
        self._print(f"지표 {metrics_url}")

    def flag(self, seen: SeenFlag) -> None:
        self._print("  ".join(cell.plain for cell in _cells(seen.flag)))

    def progress(self, progress: Progress) -> None:
        if progress.elapsed_s >= self._next_progress_s:
            self._next_progress_s += _PLAIN_EVERY_S
            self._print(f"[{progress.elapsed_s:3.0f}초] {_counts(progress)}")

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def show_summary(console: Console, summary: Summary) -> None:
    """Print how the flags compare with the labels of the sample."""
    table = Table(title="요약", title_justify="left")
    table.add_column("판정")
    for name in ("기대", "적중", "놓침", "그중 다른 판정", "플래그 전체"):
        table.add_column(name, justify="right")
    for label, count in summary.by_label.items():
        numbers = (count.expected, count.hits, count.misses, count.mislabelled, count.flags)
        table.add_row(Text(label, _STYLES[label]), *map(str, numbers))
    console.print(table)
    console.print(
        "상담원의 발화는 읽되 판정하지 않으므로 기대에 넣지 않았습니다.\n"
        f"발화 {summary.utterances}건, 읽지 못함 {summary.lost}건, "
        f"정상 발화에 붙은 플래그 {summary.false_flags}건, "
        f"발화에서 알림까지 p50 {_milliseconds(summary.p50_ms)}, "
        f"p99 {_milliseconds(summary.p99_ms)}\n"
        "내장 브로커는 대기 중인 조회를 깨우지 않으므로, 지연에는 그 대기 시간이 들어 있습니다.",
        highlight=False,
        soft_wrap=True,
    )


def _cells(flag: Flag) -> tuple[Text, ...]:
    """Return a flag's cells. As Text: what people say may hold markup's square brackets."""
    return (
        Text(flag.detected_at.astimezone(_KST).strftime("%H:%M:%S")),
        Text(flag.call_id),
        Text(_SPEAKERS[flag.speaker]),
        Text(flag.label, _STYLES[flag.label]),
        Text(_SEVERITIES[flag.severity], "bold" if flag.severity == "high" else ""),
        Text(f"{flag.score:.2f}"),
        Text(flag.text or "(본문 없음)"),
    )


def _counts(progress: Progress) -> str:
    age = progress.since_last_flag_s
    last = "아직 없음" if age is None else f"{age:.0f}초 전"
    return (
        f"보낸 발화 {progress.sent}/{progress.total} | 읽은 발화 {progress.read} | "
        f"플래그 {progress.flags} | 마지막 플래그 {last}"
    )


def _milliseconds(value: float | None) -> str:
    return "없음" if value is None else f"{value:.0f} ms"
