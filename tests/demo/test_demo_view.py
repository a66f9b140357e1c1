"""What a supervisor reads."""

from io import StringIO

from rich.console import Console

from stream.demo.session import Progress
from stream.demo.summary import summarise
from stream.demo.view import LiveScreen, PlainScreen, screen, show_summary
from stream.schema import ABUSE
from tests.demo.builders import seen, spoken

_URL = "http://127.0.0.1:1/metrics"


def _console(*, terminal: bool) -> tuple[Console, StringIO]:
    sink = StringIO()
    console = Console(
        file=sink, force_terminal=terminal, width=100, height=40, color_system=None, _environ={}
    )
    return console, sink


def _progress(elapsed_s: float = 0.0, age: float | None = None) -> Progress:
    return Progress(elapsed_s, total=9, sent=4, read=3, flags=2, since_last_flag_s=age)


def test_a_terminal_gets_the_live_table() -> None:
    """On a terminal the header, the label, the severity and the text are all on the screen."""
    console, sink = _console(terminal=True)
    with screen(console, _URL) as view:
        view.flag(seen(text="[b]네[/b] 고객님"))
        view.progress(_progress(age=2.4))
        assert True is isinstance(view, LiveScreen)
    wanted = [_URL, "보낸 발화 4/9", "마지막 플래그 2초 전", "욕설", "높음", "[b]네[/b] 고객님"]
    assert [] == [one for one in wanted if one not in sink.getvalue()]


def test_a_pipe_gets_one_line_a_flag() -> None:
    """Away from a terminal a flag is one plain line, with Korean time, label and severity."""
    console, sink = _console(terminal=False)
    with screen(console, _URL) as view:
        view.flag(seen(text="[b]네[/b] " + "고객님 " * 40))
        assert True is isinstance(view, PlainScreen)
    lines = sink.getvalue().splitlines()
    expected = ["12:00:00", "c1", "고객", "욕설", "높음", "0.90", "[b]네[/b] " + "고객님 " * 40]
    assert 2 == len(lines)
    assert expected == lines[1].split("  ")


def test_plain_progress_is_shown_now_and_then() -> None:
    """A log of the demo holds a progress line every ten seconds, not one a tick."""
    console, sink = _console(terminal=False)
    view = PlainScreen(console, _URL)
    for tenth in range(205):
        view.progress(_progress(tenth / 10))
    assert 3 == sink.getvalue().count("보낸 발화 4/9")


def test_a_flag_without_text_says_so() -> None:
    """Where the worker leaves the text out, the line says that there is none."""
    console, sink = _console(terminal=False)
    PlainScreen(console, _URL).flag(seen(text=None))
    assert 1 == sink.getvalue().count("(본문 없음)")


def test_the_summary_counts_by_label() -> None:
    """The summary's row of a label shows expected, hit, missed, mislabelled and all its flags."""
    console, sink = _console(terminal=False)
    summary = summarise([spoken(0, ABUSE), spoken(1, ABUSE)], [seen(0)], read=2)
    show_summary(console, summary)
    (row,) = (line for line in sink.getvalue().splitlines() if line.startswith("│ 욕설"))
    assert ["욕설", "2", "1", "1", "0", "1"] == row.replace("│", " ").split()
