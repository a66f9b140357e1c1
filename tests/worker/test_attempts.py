"""A record that was sent back from the dead letters, at the worker."""

import asyncio

from stream.deadletters import Cause, Route, moved
from stream.messages import ATTEMPT
from stream.ports import Place
from tests import build
from tests.fakes import MemoryBroker, MemoryCluster

TOPIC = "transcripts"
ROUTE = Route(
    Cause("parse", "malformed", "MalformedRecordError", TOPIC), "parked", max_attempts=100
)


async def test_attempts_rise_with_each_time_a_record_is_sent_back() -> None:
    """The worker counts the attempts on, and the header that carries them does not pile up."""
    cluster, stop = MemoryCluster(), asyncio.Event()
    cluster.create(TOPIC)
    cluster.append(TOPIC, b"not JSON", headers=[("trace", b"1")])
    task = asyncio.create_task(build.worker(MemoryBroker(cluster, TOPIC)).run(stop))
    async with asyncio.timeout(20):
        for visit in range(1, 4):
            while cluster.committed.get(("group", Place(TOPIC, 0)), 0) < visit:
                await asyncio.sleep(0)
            back = moved(cluster.records(build.DEAD_LETTERS)[-1], ROUTE)
            assert back is not None
            cluster.append(back.topic, back.value, back.key, back.headers)
        stop.set()
        await task

    letters = [dict(record.headers) for record in cluster.records(build.DEAD_LETTERS)][:3]
    assert [b"1", b"2", b"3"] == [headers["kcguard.dlq.attempt"] for headers in letters]
    assert [[("trace", b"1"), (ATTEMPT, b"%d" % visit)] for visit in range(1, 4)] == [
        list(record.headers) for record in cluster.records(TOPIC)[1:4]
    ]
