"""The worker on a broker in memory: what is promised whatever happens."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from stream.errors import DeadLetterLimitError, ModelReplyError
from stream.limits import DeadLetterLimit
from stream.ports import Place, Readiness
from tests import build
from tests.fakes import CountingObserver, MemoryBroker, MemoryCluster, WordScorer
from tests.unit.test_schema import BAD_RECORDS

TOPIC = "transcripts"


async def until(condition: Callable[[], bool]) -> None:
    """Give way to the other tasks until `condition` holds; fail after a bound."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0)


@asynccontextmanager
async def running(broker: MemoryBroker, **changes: Any) -> AsyncIterator[asyncio.Task[None]]:
    """Run a worker on `broker` for as long as the context lasts, then stop it and wait."""
    stop = asyncio.Event()
    task = asyncio.create_task(build.worker(broker, **changes).run(stop))
    try:
        yield task
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await asyncio.gather(task, return_exceptions=True)


def cluster(*texts: str, partitions: int = 1) -> MemoryCluster:
    made = MemoryCluster()
    made.create(TOPIC, partitions)
    for number, text in enumerate(texts):
        made.append(TOPIC, build.value(text, utterance_id=f"u{number}", seq=number))
    return made


def flagged(made: MemoryCluster) -> list[str]:
    """Return the utterances that were flagged, in the order of their flags."""
    return [json.loads(r.value or b"")["utterance_id"] for r in made.records(build.FLAGS)]


def committed(made: MemoryCluster, partition: int = 0) -> int:
    return made.committed.get(("group", Place(TOPIC, partition)), 0)


async def test_flags_are_published_in_order_and_committed() -> None:
    """Every abusive utterance is flagged once, in utterance order, and the offset moves on."""
    made = cluster("네", "욕 하나", "네", "성 둘", "욕 셋")
    observer = CountingObserver()
    async with running(MemoryBroker(made, TOPIC), observer=observer):
        await until(lambda: committed(made) == 5)

    assert ["u1", "u3", "u4"] == flagged(made)
    assert {"abuse": 2, "sexual_harassment": 1} == observer.flags
    assert {"judged": 5} == observer.outcomes


async def test_each_bad_record_is_dead_lettered_alone() -> None:
    """Between good neighbours every bad record ends as one dead letter, with its disposition."""
    made = cluster("욕 first")
    for _, content, _ in BAD_RECORDS:
        made.append(TOPIC, content)
    made.append(TOPIC, build.value(), key=None)
    made.append(TOPIC, build.value("욕 last", utterance_id="last"))
    observer = CountingObserver()
    async with running(MemoryBroker(made, TOPIC), observer=observer):
        await until(lambda: committed(made) == len(BAD_RECORDS) + 3)

    assert ["u0", "last"] == flagged(made)
    expected = [error.disposition for _, _, error in BAD_RECORDS] + ["schema"]
    dead = [dict(record.headers) for record in made.records(build.DEAD_LETTERS)]
    assert expected == [headers["kcguard.dlq.disposition"].decode() for headers in dead]
    assert len(expected) == observer.outcomes["dead_lettered"]


async def test_an_empty_text_is_a_normal_verdict() -> None:
    """An empty text is no dead letter and no flag; it is counted."""
    made = cluster("", "욕")
    observer = CountingObserver()
    async with running(MemoryBroker(made, TOPIC), observer=observer):
        await until(lambda: committed(made) == 2)

    assert {"empty": 1, "judged": 1} == observer.outcomes
    assert [] == made.records(build.DEAD_LETTERS)


async def test_agents_and_partials_are_not_judged() -> None:
    """By default only customers and unknown speakers are judged, and only their finals."""
    made = cluster()
    made.append(TOPIC, build.value("욕", speaker="agent"))
    made.append(TOPIC, build.value("욕", is_final=False))
    made.append(TOPIC, build.value("욕", speaker="unknown", utterance_id="yes"))
    observer, scorer = CountingObserver(), WordScorer()
    async with running(MemoryBroker(made, TOPIC), observer=observer, scorer=scorer):
        await until(lambda: committed(made) == 3)

    assert ["yes"] == flagged(made)
    assert {"skipped_role": 1, "skipped_partial": 1, "judged": 1} == observer.outcomes
    assert ["욕"] == scorer.texts


async def test_a_hidden_stem_is_flagged_by_its_second_view() -> None:
    """The second view rides behind the chunk's texts; its scores and the original text are sent."""
    made = cluster("네", "ㅅㅂ 왜", "욕 ㅅㅂ", "성")
    observer, scorer = CountingObserver(), WordScorer()
    async with running(MemoryBroker(made, TOPIC), observer=observer, scorer=scorer):
        await until(lambda: committed(made) == 4)

    assert ["u1", "u2", "u3"] == flagged(made)
    assert ["네", "ㅅㅂ 왜", "욕 ㅅㅂ", "성", "시발 왜", "욕 시발"] == scorer.texts
    assert [True, False] == observer.second_views
    assert {"judged": 4} == observer.outcomes
    flag = json.loads(made.records(build.FLAGS)[0].value or b"")
    assert ("ㅅㅂ 왜", "욕설", 0.9) == (flag["text"], flag["label"], round(flag["score"], 6))


async def test_without_second_views_a_text_is_judged_as_it_stands() -> None:
    """Where the policy wants no second view none is scored."""
    made, scorer = cluster("ㅅㅂ 왜"), WordScorer()
    policy = build.policy(second_view=False)
    async with running(MemoryBroker(made, TOPIC), scorer=scorer, policy=policy):
        await until(lambda: committed(made) == 1)

    assert [] == flagged(made)
    assert ["ㅅㅂ 왜"] == scorer.texts


async def test_nothing_is_committed_before_its_flags_are_acknowledged() -> None:
    """While the broker refuses flags, the offset stays; afterwards all flags are there."""
    made = cluster("욕", "욕", "욕")
    broker, observer = MemoryBroker(made, TOPIC), CountingObserver()
    broker.fail_publishes = 3
    at_retry: list[int] = []
    original = observer.publish_retry

    def retry() -> None:
        original()
        at_retry.append(committed(made))

    observer.publish_retry = retry  # type: ignore[method-assign]  # the fake's own hook
    async with running(broker, observer=observer):
        await until(lambda: committed(made) == 3)

    assert [0, 0, 0] == at_retry
    assert {"u0", "u1", "u2"} == set(flagged(made))
    ids = {json.loads(r.value or b"")["event_id"] for r in made.records(build.FLAGS)}
    assert 3 == len(ids)


async def test_a_failed_commit_is_tried_again() -> None:
    """A commit that the broker does not answer is repeated until it stands."""
    made = cluster("욕")
    broker = MemoryBroker(made, TOPIC)
    broker.fail_commits = 2
    async with running(broker):
        await until(lambda: committed(made) == 1)

    assert ["u0"] == flagged(made)


async def test_a_failed_pull_is_tried_again() -> None:
    """A pull that fails costs nothing but time."""
    made = cluster("욕")
    broker = MemoryBroker(made, TOPIC)
    broker.fail_pulls = 2
    async with running(broker):
        await until(lambda: committed(made) == 1)

    assert ["u0"] == flagged(made)


async def test_readiness_falls_while_nothing_can_be_published() -> None:
    """`publishable` is false between a failed publish and the next one that succeeds."""
    made, readiness = cluster("욕"), Readiness()
    broker, observer = MemoryBroker(made, TOPIC), CountingObserver()
    broker.fail_publishes = 1
    seen: list[bool] = []
    observer.publish_retry = lambda: seen.append(readiness.publishable)  # type: ignore[method-assign]  # the fake's own hook
    async with running(broker, observer=observer, readiness=readiness):
        await until(lambda: committed(made) == 1)

    assert [False] == seen
    assert readiness.publishable


async def test_a_crash_before_the_commit_loses_nothing() -> None:
    """What a dead worker published but did not commit is judged again, under the same ids."""
    made = cluster("욕", "네", "성")
    first = MemoryBroker(made, TOPIC)
    first.fail_commits = 10**9
    task = asyncio.create_task(build.worker(first).run(asyncio.Event()))
    await until(lambda: len(flagged(made)) == 2)
    await first.crash()
    async with running(MemoryBroker(made, TOPIC)):
        await until(lambda: committed(made) == 3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert ["u0", "u2", "u0", "u2"] == flagged(made)
    ids = [json.loads(r.value or b"")["event_id"] for r in made.records(build.FLAGS)]
    assert ids[:2] == ids[2:]


async def test_a_rebalance_in_mid_chunk_loses_and_doubles_nothing() -> None:
    """A chunk in flight is finished and committed before its partitions go to another member."""
    texts = [f"욕 {number}" for number in range(40)]
    made = cluster(*texts, partitions=1)
    for number in range(40):
        made.append(TOPIC, build.value("성", utterance_id=f"v{number}"), partition=0)
    other = MemoryBroker(made, TOPIC)
    async with running(MemoryBroker(made, TOPIC)):
        await until(lambda: committed(made) >= 20)
        async with running(other):
            await until(lambda: committed(made) == 80)

    assert 80 == len(flagged(made))
    assert 80 == len(set(flagged(made)))
    assert sorted(flagged(made), key=flagged(made).index) == [
        *(f"u{n}" for n in range(40)),
        *(f"v{n}" for n in range(40)),
    ]


async def test_a_chunk_that_outlives_its_drain_is_not_committed() -> None:
    """Where the drain's time runs out, the late chunk's commit is refused; nothing is lost."""
    made = cluster("욕", partitions=1)
    slow = MemoryBroker(made, TOPIC, drain_seconds=0.0)
    slow.fail_publishes = 10**9
    task = asyncio.create_task(build.worker(slow).run(asyncio.Event()))
    await until(lambda: bool(flagged(made)))
    await made.rebalance("group")
    slow.fail_publishes = 0
    await until(lambda: committed(made) == 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert 1 == len({json.loads(r.value or b"")["event_id"] for r in made.records(build.FLAGS)})


async def test_a_stop_finishes_the_chunk_in_flight() -> None:
    """After a stop everything that was published is committed, and `run` returns."""
    made = cluster(*(f"욕 {number}" for number in range(100)))
    async with running(MemoryBroker(made, TOPIC)) as task:
        await until(lambda: committed(made) > 0)

    assert task.done()
    assert task.exception() is None
    assert len(flagged(made)) == committed(made)


async def test_a_wrong_answer_of_the_model_stops_the_worker_uncommitted() -> None:
    """A model error ends `run` with that error and commits nothing of its chunk."""
    made, scorer = cluster("욕"), WordScorer()

    def broken() -> None:
        raise ModelReplyError

    scorer.before = broken
    with pytest.raises(ModelReplyError):
        async with asyncio.timeout(20):
            await build.worker(MemoryBroker(made, TOPIC), scorer=scorer).run(asyncio.Event())

    assert 0 == committed(made)
    assert [] == flagged(made)


async def test_a_topic_of_bad_records_is_not_poured_into_the_dead_letters() -> None:
    """Past the limit the worker stops, and the chunk that passed it is not committed."""
    made = cluster()
    for _ in range(50):
        made.append(TOPIC, b"not JSON")
    limit = DeadLetterLimit(max_ratio=1.0, max_consecutive=25)
    with pytest.raises(DeadLetterLimitError):
        async with asyncio.timeout(20):
            await build.worker(MemoryBroker(made, TOPIC), limit=limit).run(asyncio.Event())

    assert 20 == committed(made)
    assert 20 == len(made.records(build.DEAD_LETTERS))
