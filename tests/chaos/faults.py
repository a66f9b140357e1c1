"""Carries faults out. Each returns once the fault is over, with when it struck."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.broker import Cluster
from tests.chaos.fleet import Fleet
from tests.chaos.proxy import Mode
from tests.chaos.schedule import KILLS_AT_A_STAGE, Fault, Kind

STAGE_SECONDS = 30.0
BACK_SECONDS = 60.0
DELAY_SECONDS = 0.3
GUEST = 1000
"""The first slot of workers that only come for a while."""


@dataclass(frozen=True)
class World:
    """What can be broken, and how to wait meanwhile."""

    cluster: Cluster
    fleet: Fleet
    partitions: int
    rest: Callable[[float], None]
    """Let the run go on for so many seconds."""
    wait_for: Callable[[set[str], float], bool]
    """Wait until each of these workers has published something new; False where time ran out."""


@dataclass(frozen=True)
class Struck:
    """When a fault had struck and when it was over, in seconds since 1970; and what went amiss."""

    hit: float
    healed: float
    complaint: str = ""


def strike(fault: Fault, world: World) -> Struck:
    """Carry `fault` out."""
    fleet, slot = world.fleet, fault.slots[0]
    match fault.kind:
        case Kind.KILL:
            fleet.kill(slot)
        case Kind.FREEZE:
            fleet.freeze(slot)
            return _lasting(fault, world, lambda: fleet.thaw(slot))
        case Kind.TERMINATE:
            fleet.terminate(slot)
        case Kind.JOIN_AND_LEAVE:
            return _visit(fault, world, 1)
        case Kind.CROWD:
            return _visit(fault, world, world.partitions - fleet.size + 2)
        case Kind.ROLL:
            return _roll(fault, world)
        case Kind.BROKER_KILL:
            world.cluster.server.kill()
            return _lasting(fault, world, world.cluster.server.start)
        case Kind.BROKER_FREEZE:
            world.cluster.server.pause()
            return _lasting(fault, world, world.cluster.server.resume)
        case Kind.CUT:
            return _network(fault, world, "cut")
        case Kind.STALL:
            return _network(fault, world, "stall")
        case Kind.RESET:
            return _network(fault, world, "reset")
        case Kind.DELAY:
            return _network(fault, world, "open", DELAY_SECONDS)
        case _:
            return _kill_at_a_stage(fault, world)
    now = time.time()
    return Struck(now, now)


def _kill_at_a_stage(fault: Fault, world: World) -> Struck:
    stage = KILLS_AT_A_STAGE[fault.kind]
    reached = world.fleet.kill_at(fault.slots[0], stage, STAGE_SECONDS)
    now = time.time()
    return Struck(now, now, "" if reached else f"the stage {stage} was not reached")


def _lasting(fault: Fault, world: World, heal: Callable[[], None]) -> Struck:
    hit = time.time()
    world.rest(fault.seconds)
    heal()
    return Struck(hit, time.time())


def _network(fault: Fault, world: World, mode: Mode, delay: float = 0.0) -> Struck:
    routes = range(len(world.cluster.network.ports))
    hit_routes = {slot % len(routes) for slot in fault.slots}

    def change(mode: Mode, delay: float = 0.0) -> None:
        for route in hit_routes:
            world.cluster.network.change(route, mode, delay)

    change(mode, delay)
    return _lasting(fault, world, lambda: change("open"))


def _visit(fault: Fault, world: World, guests: int) -> Struck:
    """Let workers join, work for a while, and leave in the middle of it."""
    hit = time.time()
    slots = range(GUEST, GUEST + guests)
    names = {world.fleet.start(slot) for slot in slots}
    # Of more workers than partitions some have nothing to publish.
    joined = world.wait_for(names, BACK_SECONDS) if guests == 1 else True
    world.rest(fault.seconds if guests == 1 else fault.seconds + 2 * guests)
    for slot in slots:
        world.fleet.terminate(slot)
    return Struck(hit, time.time(), "" if joined else "the new worker got nothing to do")


def _roll(fault: Fault, world: World) -> Struck:
    hit = time.time()
    late = []
    for slot in fault.slots:
        world.fleet.terminate(slot)
        name = world.fleet.start(slot)
        if not world.wait_for({name}, BACK_SECONDS):
            late.append(name)
    complaint = f"not back within {BACK_SECONDS:g} s: {', '.join(late)}" if late else ""
    return Struck(hit, time.time(), complaint)
