"""Child processes that never outlive the demo, however the demo ends."""

import ctypes
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import IO, Final

_PR_SET_PDEATHSIG: Final = 1
_libc: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


def start(
    command: Sequence[str],
    *,
    stdin: int = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` in a process group of its own; on Linux it dies with this process.

    Its own group keeps a terminal's Ctrl-C for us alone: a child that saw it too would take our
    SIGTERM for the second signal, which asks for an exit without draining.

    Call it from the main thread, before any other thread runs: what happens between fork and
    exec is only safe there.
    """
    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env=environment,
        process_group=0,
        preexec_fn=_die_with_the_parent,
    )


def _die_with_the_parent() -> None:
    # The finally blocks cover every end but SIGKILL of the demo itself; this covers that one.
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def finish(process: subprocess.Popen[bytes], within_s: float) -> int:
    """Wait for `process`, which was asked to end, and kill it after `within_s`.

    Returns its exit code, negative for a signal. The child is gone when this returns or raises,
    also where a second Ctrl-C cuts the wait short.
    """
    try:
        return process.wait(within_s)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return process.returncode
