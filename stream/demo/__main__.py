"""`python -m stream.demo`: see the worker flag sample calls, with nothing installed beside it.

DEMO_SPEED=max replays at once; otherwise it takes about 40 s. KCGUARD_BUNDLE and other KCGUARD_
variables reach the worker. The last line on standard output is one JSON object (`Summary.as_json`).
Exit code 0: the worker read every utterance and stopped in order; 1: it did not; 130 on Ctrl-C.
"""

import argparse
import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Final

from rich.console import Console

from stream.demo import replay, session
from stream.demo.broker import BrokerFailedError, embedded_broker
from stream.demo.flags import FlagReader
from stream.demo.summary import summarise
from stream.demo.view import screen, show_summary
from stream.demo.worker import WorkerFailedError, running_worker

_CALLS: Final = Path(__file__).with_name("calls.jsonl")
_UTTERANCES: Final = "transcripts.utterances"
_FLAGS: Final = "moderation.flags"
_DEAD_LETTERS: Final = "moderation.dlq"


def main() -> int:
    """Run the demo once and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m stream.demo", description="kcguard 데모")
    parser.add_argument("--calls", type=Path, default=_CALLS, help="통화 파일 (JSON Lines)")
    calls = replay.parse_calls(parser.parse_args().calls.read_text("utf-8").splitlines())
    natural = replay.timeline(calls)
    fast = os.environ.get("DEMO_SPEED") == "max"
    spoken = replay.all_at_once(natural) if fast else replay.squeeze(natural)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _unwind)
    try:
        console = Console()
        pace = "한꺼번에" if fast else f"말하는 속도의 {replay.pace(natural, spoken):.1f}배로"
        console.print(
            f"통화 {len(calls)}건을 {pace} 재생합니다. 브로커와 워커를 시작합니다.", highlight=False
        )
        return _replay(spoken, console)
    except KeyboardInterrupt:
        print("중단했습니다.", file=sys.stderr)
        return 130
    except (BrokerFailedError, WorkerFailedError, replay.UndeliveredError) as error:
        print(error, file=sys.stderr)
        return 1


def _replay(spoken: list[replay.Spoken], console: Console) -> int:
    # Both processes are started before any Kafka client here: see processes.start.
    with embedded_broker([_UTTERANCES, _FLAGS, _DEAD_LETTERS]) as bootstrap_servers:
        settings = {
            "KCGUARD_BUNDLE": os.environ.get("KCGUARD_BUNDLE", "models/kcguard"),
            "KCGUARD_BOOTSTRAP_SERVERS": bootstrap_servers,
            "KCGUARD_SOURCE_TOPIC": _UTTERANCES,
            "KCGUARD_FLAGS_TOPIC": _FLAGS,
            "KCGUARD_DEAD_LETTERS_TOPIC": _DEAD_LETTERS,
            "KCGUARD_LOG_FORMAT": "json",
            "KCGUARD_STOP_SECONDS": "10",  # under what the demo waits before it kills
        }
        with running_worker(settings) as worker:
            ear = FlagReader(bootstrap_servers, _FLAGS)
            voice = replay.Voice(bootstrap_servers, _UTTERANCES, datetime.now(UTC))
            with screen(console, worker.metrics_url) as view:
                outcome = session.run(spoken, voice, ear, worker, view)
            exit_code = worker.stop()
            ear.close()
    summary = summarise(spoken, outcome.seen, outcome.read)
    show_summary(console, summary)
    if exit_code != 0:
        print(f"워커가 종료 코드 {exit_code}(으)로 끝났습니다.", file=sys.stderr)
    print(json.dumps(summary.as_json(), ensure_ascii=False), flush=True)
    return 0 if exit_code == 0 and summary.lost == 0 else 1


def _unwind(number: int, _frame: FrameType | None) -> None:
    # As an exception, so that the context managers end the children as they do otherwise.
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
