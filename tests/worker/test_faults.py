"""The worker as a process when its model hangs, its broker is gone, or a neighbour dies."""

import ctypes
import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stream.progress import Progress
from tests import build
from tests.fakes import MemoryBroker
from tests.kafka.fixtures import make_topic
from tests.kafka.server import SILENT, KafkaServer
from tests.worker.faulty import HANG, SLOW
from tests.worker.process import PATIENCE_S, Run, produce, read, started, wait_until
from tests.worker.test_worker import TOPIC, cluster, committed, running, until


@contextmanager
def worker(log: Path, servers: str, source: str, flags: str, **changes: str) -> Iterator[Run]:
    """Run `tests.worker.faulty` on topics of its own; kill what is left at the end."""
    settings = {
        "bootstrap_servers": servers,
        "group_id": f"group-of-{source}",
        "source_topic": source,
        "flags_topic": flags,
        "stall_seconds": "1",
        "stop_seconds": "3",
        **changes,
    }
    with started(log, ["tests.worker.faulty"], None, **settings) as run:
        yield run


@pytest.mark.kafka
def test_a_hung_model_turns_livez_red_and_cannot_hold_a_stop(
    kafka: str, topics: Callable[..., str], tmp_path: Path
) -> None:
    """Livez names the step, the log shows the model's thread, SIGTERM ends within the deadline."""
    source, flags = topics(1), topics(1)
    with worker(tmp_path / "log", kafka, source, flags, stall_seconds="15") as run:
        produce(kafka, source, [(b"call", build.value("욕"))])
        read(kafka, flags, 1)
        assert (200, "ok\n") == run.ask("/livez")
        produce(kafka, source, [(b"call", build.value(HANG))])
        body = run.wait_for("/livez", 503)
        wait_until(lambda: "in wait" in run.log)
        run.process.send_signal(signal.SIGTERM)
        status = run.process.wait(PATIENCE_S)

    assert body.startswith("no progress: judge for")
    assert "thread model_0" in run.log
    assert 6 == status
    assert "not stopped within 3 s; 1 records in flight were not committed" in run.log
    assert HANG not in run.log


@pytest.mark.kafka
def test_a_second_signal_ends_at_once(
    kafka: str, topics: Callable[..., str], tmp_path: Path
) -> None:
    """While a stop hangs, another SIGTERM ends the process without waiting for the deadline."""
    source, flags = topics(1), topics(1)
    with worker(tmp_path / "log", kafka, source, flags, stop_seconds="3600") as run:
        produce(kafka, source, [(b"call", build.value(HANG))])
        run.wait_for("/livez", 503)
        run.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "finishing the chunk in flight" in run.log)
        run.process.send_signal(signal.SIGTERM)
        status = run.process.wait(PATIENCE_S)

    assert 128 + signal.SIGTERM == status


@pytest.mark.kafka
def test_a_silent_broker_turns_livez_red_and_cannot_hold_a_stop(
    kafka_process: KafkaServer, tmp_path: Path
) -> None:
    """With flags owed to a broker that is gone the probes say so, and a stop ends in time.

    The next worker finds the record uncommitted, and flags it.
    """
    from confluent_kafka.admin import AdminClient

    servers = kafka_process.bootstrap_servers
    admin = AdminClient({"bootstrap.servers": servers, **SILENT})
    source, flags = make_topic(admin), make_topic(admin)
    log = tmp_path / "log"
    with worker(log, servers, source, flags, stall_seconds="15") as run:
        produce(servers, source, [(b"call", build.value(f"욕 {SLOW}"))])
        # Frozen while the model is at work: then a flag is owed, and nobody takes it.
        wait_until(lambda: "kcguard_chunk_records_count 1.0" in run.ask("/metrics")[1])
        kafka_process.pause()
        try:
            body = run.wait_for("/livez", 503)
            run.process.send_signal(signal.SIGTERM)
            status = run.process.wait(PATIENCE_S)
        finally:
            kafka_process.resume()
    with worker(tmp_path / "next", servers, source, flags):
        ((flag, _),) = read(servers, flags, 1)

    assert body.startswith("no progress: publish for")
    assert 6 == status
    assert "were not committed" in run.log
    assert "욕설" == json.loads(flag)["label"]


@pytest.mark.kafka
def test_an_idle_member_takes_over_when_another_dies(
    kafka: str, topics: Callable[..., str], tmp_path: Path
) -> None:
    """Of two workers on one partition one has nothing; when the other is killed it goes on."""
    source, flags = topics(1), topics(1)
    with (
        worker(tmp_path / "one", kafka, source, flags) as one,
        worker(tmp_path / "two", kafka, source, flags) as two,
    ):
        for run in (one, two):
            run.wait_for("/readyz", 200)
        produce(kafka, source, [(b"call", build.value("욕", utterance_id="first"))])
        read(kafka, flags, 1)
        busy = one if 'kcguard_flags_total{label="abuse"} 1.0' in one.ask("/metrics")[1] else two
        busy.process.kill()
        produce(kafka, source, [(b"call", build.value("욕", utterance_id="second"))])
        found = [json.loads(value)["utterance_id"] for value, _ in read(kafka, flags, 2)]

    assert ["first", "second"] == found


async def test_a_dead_model_thread_is_seen() -> None:
    """Where the model's thread dies between two chunks, the next chunk stalls and is reported."""
    made = cluster("욕")
    progress = Progress(limit_seconds=0.2)
    async with running(MemoryBroker(made, TOPIC), progress=progress) as task:
        await until(lambda: committed(made) == 1)
        (model,) = (t for t in threading.enumerate() if t.name.startswith("model_"))
        # Nothing but this ends another thread from outside; it takes effect at its next step.
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(model.ident or 0), ctypes.py_object(SystemExit)
        )
        for _ in range(2):
            made.append(TOPIC, build.value("욕"))
            await until(lambda: not model.is_alive() or committed(made) == 2)
        await until(lambda: progress.stalled() is not None or task.done())
        stalled = progress.stalled()
        task.cancel()

    assert stalled is not None
    assert stalled.startswith("judge for")
