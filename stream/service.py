"""`python -m stream run`: plugs the worker together and runs it from its start to its stop."""

import asyncio
import contextlib
import hashlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Hashable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import uvloop
from prometheus_client import CollectorRegistry

from stream.broker import KafkaBroker, KafkaConfig
from stream.bundle import MANIFEST, read_bundle
from stream.classifier import Classifier
from stream.errors import ConfigurationError, KcguardError, StopDeadlineError, UnexpectedError
from stream.http import HttpPort, application
from stream.judge import Judge
from stream.limits import DeadLetterLimit
from stream.messages import Outbox
from stream.metrics import Metrics
from stream.policy import parse_policy
from stream.ports import Broker, Readiness
from stream.progress import Progress
from stream.reload import Reloader
from stream.settings import Settings
from stream.watchdog import Watchdog
from stream.worker import Worker

log = logging.getLogger(__name__)


def worker_version() -> str:
    """Return the version that dead letters name."""
    try:
        return version("kcguard")
    except PackageNotFoundError:
        return "unpackaged"


def verified_judge(config: Settings, metrics: Metrics) -> Judge:
    """Return a judge of the bundle and the policy as they stand on disk, verified and warm.

    Blocks for seconds. Raises FatalError that says what is wrong with either.
    """
    classifier = Classifier(
        read_bundle(config.bundle),
        config.device,
        config.callers,
        config.max_batch_tokens,
        config.max_batch_rows,
    )
    manifest = classifier.manifest
    policy = parse_policy(_policy_text(config.policy), manifest.thresholds)
    classifier.verify()
    outbox = Outbox(
        flags_topic=config.flags_topic,
        dead_letters_topic=config.dead_letters_topic,
        text_mode=config.flag_text,
        model=manifest.identity(),
        group_id=config.group_id,
        worker_version=worker_version(),
    )
    judge = Judge(classifier, policy, outbox, metrics, config.max_record_bytes)
    metrics.bundle(manifest, policy.version)
    log.info("%s %s judges, policy %s", manifest.name, manifest.version, policy.version)
    return judge


def _policy_text(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigurationError(f"policy: {path}: {reason}; see KCGUARD_POLICY") from None


def run(
    config: Settings,
    load_judge: Callable[[Settings, Metrics], Judge] = verified_judge,
    connect: Callable[[KafkaConfig, Callable[[], None]], Broker] = KafkaBroker,
) -> int:
    """Serve until a signal; return the exit status. Raises FatalError where the worker gives up.

    `load_judge` and `connect` make the two parts that touch the model and Kafka; whoever gives
    others (a test that injects faults) gets the same worker around them.
    """
    try:
        # Debug mode logs slow tasks with what they hold and raise, and that may be a transcript.
        with asyncio.Runner(debug=False, loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_serve(config, load_judge, connect))
    except KcguardError:
        raise
    except Exception as error:
        # A traceback would end with its message, which may quote a transcript.
        raise UnexpectedError.of(error) from None


async def _serve(
    config: Settings,
    load_judge: Callable[[Settings, Metrics], Judge],
    connect: Callable[[KafkaConfig, Callable[[], None]], Broker],
) -> int:
    registry, readiness = CollectorRegistry(), Readiness()
    metrics, progress = Metrics(registry, readiness), Progress(config.stall_seconds)
    token = config.http_token.get_secret_value() if config.http_token else None
    app = application(registry, readiness, progress, token)
    connection = config.connection()
    with (
        HttpPort(config.http_host, config.http_port, app) as port,
        Watchdog(progress, metrics.stall),
    ):

        def state() -> Hashable:
            return file_state(config.bundle), config.policy and file_state(config.policy)

        seen = state()
        judge = await asyncio.to_thread(load_judge, config, metrics)
        readiness.warm = True
        broker = connect(
            KafkaConfig(
                bootstrap_servers=config.bootstrap_servers,
                group_id=config.group_id,
                group_instance_id=config.group_instance_id,
                topic=config.source_topic,
                written_topics=(config.flags_topic, config.dead_letters_topic),
                auto_offset_reset=config.auto_offset_reset,
                max_chunk_records=config.max_chunk_records,
                connection=connection,
            ),
            metrics.rebalance,
        )
        readiness.assigned = lambda: broker.assigned
        worker = Worker(
            broker=broker,
            judge=judge,
            limit=DeadLetterLimit(config.dead_letter_max_ratio, config.dead_letter_max_consecutive),
            observer=metrics,
            readiness=readiness,
            progress=progress,
        )
        reloader = Reloader(
            load=lambda: load_judge(config, metrics),
            swap=worker.replace_judge,
            state=state,
            seen=seen,
            observer=metrics,
            every_seconds=config.reload_seconds,
        )
        log.info("metrics at %s/metrics", port.address)
        await _until_signal(worker, reloader, config.stop_seconds)
    log.info("stopped; no chunk is in flight")
    return 0


def file_state(path: Path) -> Hashable:
    """Return a value that changes with a file, or with a bundle, and with little else.

    A bundle's manifest holds the hash of every file, so its own hash stands for all; sizes and
    times show that a copy under way has gone on.
    """
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    stats = [
        (str(file), status.st_size, status.st_mtime_ns)
        for file in files
        if (status := _status(file))
    ]
    hashed = path / MANIFEST if path.is_dir() else path
    with contextlib.suppress(OSError):
        return (*stats, hashlib.sha256(hashed.read_bytes()).hexdigest())
    return tuple(stats)


def _status(file: Path) -> os.stat_result | None:
    # A file may go between the listing and the look.
    try:
        return file.stat()
    except OSError:
        return None


async def _until_signal(worker: Worker, reloader: Reloader, stop_seconds: float) -> None:
    """Run until the worker ends or SIGTERM/SIGINT comes; then let it stop within `stop_seconds`.

    A second signal ends the process at once, and so does the deadline: from a thread, since
    whatever keeps the worker from stopping may keep the event loop as well.
    """
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def give_up() -> None:
        error = StopDeadlineError(
            f"not stopped within {stop_seconds:g} s; {worker.in_flight} records in flight were not "
            "committed and will be judged again"
        )
        print(f"kcguard-stream: {error}", file=sys.stderr, flush=True)
        os._exit(error.exit_code)

    deadline = threading.Timer(stop_seconds, give_up)
    deadline.daemon = True

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        log.info("%s: finishing the chunk in flight", signal.Signals(number).name)
        deadline.start()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    loop.add_signal_handler(signal.SIGHUP, reloader.ask)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(worker.run(stop), name="worker")
            tasks.create_task(reloader.run(stop), name="reload")
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
    finally:
        deadline.cancel()
