"""The network does to bytes what it is told to."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.chaos.proxy import HOST, Network

SHORT_SECONDS = 0.3


@contextmanager
def connected() -> Iterator[tuple[Network, socket.socket, socket.socket]]:
    """A network with one route, and the two ends of a connection through it."""
    with (
        socket.create_server((HOST, 0)) as server,
        Network([server.getsockname()[1]]) as network,
        socket.create_connection((HOST, network.ports[0])) as near,
        server.accept()[0] as far,
    ):
        near.settimeout(30)
        far.settimeout(30)
        yield network, near, far


def test_an_open_route_passes_bytes_both_ways() -> None:
    """What one end sends the other receives."""
    with connected() as (_, near, far):
        near.sendall(b"there")
        far.sendall(b"back")
        assert (b"there", b"back") == (far.recv(9), near.recv(9))


def test_a_stalled_route_delivers_late() -> None:
    """Bytes sent in a stall arrive once it is over."""
    with connected() as (network, near, far):
        network.change(0, "stall")
        near.sendall(b"late")
        far.settimeout(SHORT_SECONDS)
        with pytest.raises(TimeoutError):
            far.recv(9)
        network.change(0, "open")
        far.settimeout(30)
        assert b"late" == far.recv(9)


def test_a_connection_that_lost_bytes_stays_silent() -> None:
    """After a cut a connection that was used in it passes nothing; one that was not, does."""
    with connected() as (network, near, far):
        network.change(0, "cut")
        near.sendall(b"lost")
        far.settimeout(SHORT_SECONDS)
        with pytest.raises(TimeoutError):
            far.recv(9)
        network.change(0, "open")
        near.sendall(b"more")
        with pytest.raises(TimeoutError):
            far.recv(9)
    with connected() as (network, near, far):
        network.change(0, "cut")
        network.change(0, "open")
        near.sendall(b"fine")
        assert b"fine" == far.recv(9)


def test_a_reset_ends_connections_old_and_new() -> None:
    """Both ends of an open connection see a reset, and so does one that comes meanwhile."""
    with connected() as (network, near, _):
        network.change(0, "reset")
        with pytest.raises(ConnectionResetError):
            near.recv(9)
        with socket.create_connection((HOST, network.ports[0])) as late:
            late.settimeout(30)
            with pytest.raises(ConnectionResetError):
                late.recv(9)


def test_a_route_to_nobody_ends_connections() -> None:
    """Where nobody listens behind the route, a client is not left waiting."""
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
    with Network([port]) as network, socket.create_connection((HOST, network.ports[0])) as near:
        near.settimeout(30)
        with pytest.raises(ConnectionResetError):
            near.recv(9)
