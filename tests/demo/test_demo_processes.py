"""Children end when the demo does."""

import signal
import subprocess
import sys

import pytest

from stream.demo import processes
from stream.demo.worker import WorkerFailedError, running_worker, total

_DEAF = (
    "import signal, sys\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('deaf', flush=True)\n"
    "sys.stdin.read()\n"
)


def test_a_child_that_ends_gives_its_exit_code() -> None:
    """A child that ends in time is not killed."""
    process = processes.start([sys.executable, "-c", "raise SystemExit(7)"])
    assert 7 == processes.finish(process, within_s=30.0)


def test_a_child_that_ignores_sigterm_is_killed() -> None:
    """When the time is up the child is killed, and is gone when `finish` returns."""
    process = processes.start(
        [sys.executable, "-c", _DEAF], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        assert b"deaf\n" == process.stdout.readline()
        process.terminate()
        assert -signal.SIGKILL == processes.finish(process, within_s=0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent's life")
def test_a_child_dies_with_a_demo_that_is_killed() -> None:
    """SIGKILL of the parent, which runs no clean-up, still leaves no child behind."""
    # No standard input, which would end with the parent too: only a signal can end it early.
    grandchild = (
        "import signal\n"
        "print('up', flush=True)\n"
        "signal.sigtimedwait([], 30)\n"
        "print('survived', flush=True)\n"
    )
    parent = (
        "import os, signal, sys\n"
        "from stream.demo import processes\n"
        f"child = processes.start([sys.executable, '-c', {grandchild!r}])\n"
        "sys.stdin.read(1)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    process = processes.start(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        assert b"up\n" == process.stdout.readline()
        process.stdin.write(b"x")
        process.stdin.flush()
        # Standard output ends only when its last holder, the grandchild, is gone.
        assert b"" == process.stdout.read()
        assert -signal.SIGKILL == processes.finish(process, within_s=30.0)


def test_a_worker_that_dies_before_it_is_ready_says_why() -> None:
    """The error names the exit code and shows the end of the worker's log."""
    command = [sys.executable, "-c", "print('no bundle there'); raise SystemExit(3)"]
    with pytest.raises(WorkerFailedError) as failure, running_worker({}, command):
        pass
    expected = "the worker ended, exit code 3; the end of its log:\nno bundle there"
    assert expected == str(failure.value)


def test_a_worker_that_never_gets_ready_is_given_up() -> None:
    """Past the limit the demo gives up, and the worker is gone."""
    command = [sys.executable, "-c", "import signal; signal.pause()"]
    with (
        pytest.raises(WorkerFailedError, match="was not ready after 0 s"),
        running_worker({}, command, ready_within_s=0.0),
    ):
        pass


def test_a_counter_is_summed_over_its_labels() -> None:
    """Samples of one name add up; a name that merely begins the same is another metric."""
    exposition = (
        "# HELP kcguard_records_total Records.\n"
        "# TYPE kcguard_records_total counter\n"
        'kcguard_records_total{outcome="normal"} 12.0\n'
        'kcguard_records_total{outcome="flagged"} 3.0\n'
        'kcguard_records_created{outcome="normal"} 1.79e+09\n'
        "kcguard_records_total_other 5.0\n"
    )
    assert pytest.approx(15.0) == total(exposition, "kcguard_records_total")
    assert pytest.approx(0.0) == total(exposition, "kcguard_flags_total")
