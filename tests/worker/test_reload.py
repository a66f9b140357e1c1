"""Another model or policy takes over while the worker works."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stream.errors import BundleError, ModelFaultError
from stream.judge import Judge
from stream.reload import Reloader
from stream.service import file_state
from tests import build
from tests.fakes import CountingObserver, MemoryBroker
from tests.worker.test_worker import TOPIC, cluster, committed, flagged, until

SECRET = "비밀번호일이삼사"


class Source:
    """A place that judges are loaded from: its state, and what loading gives."""

    def __init__(self, load: Callable[[], Judge]) -> None:
        self.state = 0
        self.load = load
        self.loads = 0

    def __call__(self) -> Judge:
        self.loads += 1
        return self.load()


@asynccontextmanager
async def reloading(
    source: Source, swap: Callable[[Judge], None], observer: CountingObserver
) -> AsyncIterator[Reloader]:
    stop = asyncio.Event()
    reloader = Reloader(source, swap, lambda: source.state, 0, observer, every_seconds=0.001)
    task = asyncio.create_task(reloader.run(stop))
    try:
        yield reloader
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await task


async def test_a_change_swaps_between_two_chunks_under_load() -> None:
    """While chunks flow, policies swap; every utterance is judged once and names its policy."""
    made = cluster(*(f"욕 {number}" for number in range(300)))
    policies = [build.policy(), build.policy(second_view=False)]
    observer = CountingObserver()
    worker = build.worker(MemoryBroker(made, TOPIC, max_chunk_records=7), policy=policies[0])
    source = Source(lambda: build.judge(policy=policies[source.state % 2]))
    stop = asyncio.Event()
    work = asyncio.create_task(worker.run(stop))
    async with reloading(source, worker.replace_judge, observer):
        for target in range(10, 300, 10):
            await until(lambda target=target: committed(made) >= target)  # type: ignore[misc]  # bound now
            source.state += 1
            await asyncio.sleep(0.002)
        await until(lambda: committed(made) == 300)
    stop.set()
    await work

    assert [f"u{number}" for number in range(300)] == flagged(made)
    versions = [json.loads(r.value or b"")["policy_version"] for r in made.records(build.FLAGS)]
    assert {policy.version for policy in policies} == set(versions)
    assert observer.reloads
    assert all(observer.reloads)


@pytest.mark.parametrize(
    "error", [BundleError("no"), ModelFaultError("fails on the golden texts"), RuntimeError(SECRET)]
)
async def test_the_old_judge_goes_on_where_the_new_one_does_not_verify(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """A load that fails in any way swaps nothing, is reported, and is tried again on a change.

    The message of an error that nobody foresaw stays out of the log.
    """

    def broken() -> Judge:
        raise error

    source, observer, swapped = Source(broken), CountingObserver(), list[Judge]()
    async with reloading(source, swapped.append, observer):
        source.state = 1
        await until(lambda: source.loads == 1)
        await asyncio.sleep(0.01)
        assert (1, []) == (source.loads, swapped)
        source.load = build.judge
        source.state = 2
        await until(lambda: len(swapped) == 1)

    assert [False, True] == observer.reloads
    assert "the old model and policy go on" in caplog.text
    assert type(error).__name__ in caplog.text or str(error) in caplog.text
    assert SECRET not in caplog.text


async def test_asking_reloads_without_a_change() -> None:
    """SIGHUP's way: asked, it loads what is there."""
    source, observer, swapped = Source(build.judge), CountingObserver(), list[Judge]()
    async with reloading(source, swapped.append, observer) as reloader:
        reloader.ask()
        await until(lambda: len(swapped) == 1)

    assert [True] == observer.reloads


def test_the_state_of_files_changes_with_their_content(tmp_path: Path) -> None:
    """A bundle's state changes with its manifest or any file in it; a missing file has one too."""
    bundle, policy = tmp_path / "bundle", tmp_path / "policy.toml"
    bundle.mkdir()
    (bundle / "manifest.json").write_text("{}")
    (bundle / "model.onnx").write_text("one")
    states = [file_state(bundle)]
    (bundle / "model.onnx").write_text("more")
    states.append(file_state(bundle))
    (bundle / "manifest.json").write_text("{ }")
    states.append(file_state(bundle))
    assert 3 == len(set(states))
    missing = file_state(policy)
    policy.write_text("second_view = true")
    assert missing != file_state(policy)
    assert file_state(policy) == file_state(policy)
