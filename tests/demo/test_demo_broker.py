"""The embedded broker, for real."""

import socket

import pytest
from confluent_kafka import Producer

from stream.demo.broker import embedded_broker
from stream.demo.flags import FlagReader
from stream.demo.replay import Voice, timeline
from stream.schema import encode_flag
from tests.demo.builders import NOON, call, seen


def test_a_record_goes_round_and_the_broker_goes_away() -> None:
    """A flag that is produced is read, and nobody listens at the address afterwards."""
    with embedded_broker(["moderation.flags"]) as address:
        ear = FlagReader(address, "moderation.flags")
        assert True is ear.at_end()
        producer = Producer({"bootstrap.servers": address, "linger.ms": 0})
        producer.produce("moderation.flags", encode_flag(seen().flag), b"c1")
        assert 0 == producer.flush(10.0)
        assert False is ear.at_end()
        arrived = ear.poll(10.0)
        assert arrived is not None
        assert seen().flag == arrived.flag
        assert True is ear.at_end()
        ear.close()
        producer.close()
    host, port = address.split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5.0)


def test_the_voice_counts_what_the_broker_took() -> None:
    """Every utterance said is delivered, and counted once its delivery is reported."""
    with embedded_broker(["transcripts.utterances"]) as address:
        voice = Voice(address, "transcripts.utterances", NOON)
        for spoken in timeline([call(turns=3)]):
            voice.say(spoken)
        for _ in range(30):
            if voice.delivered < 3:
                voice.settle(1.0)
        assert 3 == voice.delivered
