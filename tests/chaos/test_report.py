"""The report names what was not as promised, and nothing else."""

from dataclasses import replace

from tests.chaos.checker import Recovery, check
from tests.chaos.faults import Struck
from tests.chaos.fleet import Ending
from tests.chaos.report import Event, report
from tests.chaos.schedule import Fault, Kind

KILLED = Ending("0-1", -9, asked=False, killed=True, served=True, last_words="")
STOPPED = Ending("0-2", 0, asked=True, killed=False, served=True, last_words="stopped")
RECOVERED = Event(Fault(Kind.KILL, (0,), 0.0, settle=True), Struck(1.0, 1.0), Recovery(1, 2, 3))


def failures(events: list[Event], endings: list[Ending]) -> list[str]:
    found = report(1, 10.0, 0, check([], [], []), events, endings, [])["failures"]
    assert isinstance(found, list)
    return found


def test_a_run_in_which_all_recovered_has_no_failures() -> None:
    """A kill that is recovered from and a SIGTERM with status 0 are as they should be."""
    assert [] == failures([RECOVERED], [KILLED, STOPPED])


def test_a_fault_without_recovery_is_a_failure_unless_it_was_hurried() -> None:
    """What was waited for in vain is named; what was not waited for is not."""
    lost = replace(RECOVERED, recovery=Recovery(1, 2, None))
    hurried = replace(lost, fault=replace(lost.fault, settle=False))
    assert 1 == len(failures([lost], []))
    assert [] == failures([hurried], [])


def test_a_complaint_is_a_failure() -> None:
    """A fault that could not be carried out as meant is named with its reason."""
    odd = replace(RECOVERED, struck=Struck(1.0, 1.0, "not reached"))
    assert ["kill: not reached"] == failures([odd], [])


def test_a_worker_may_end_only_as_it_was_asked_to() -> None:
    """Fair: 0 after SIGTERM, the signal itself while loading, no Kafka at the start; else named."""
    loading = replace(STOPPED, status=-15, served=False)
    no_kafka = replace(STOPPED, status=2, asked=False, served=False)
    assert [] == failures([], [loading, no_kafka])
    unfair = [
        replace(STOPPED, status=6),
        replace(STOPPED, status=-15),
        replace(STOPPED, status=1, asked=False),
        replace(STOPPED, status=0, asked=False),
    ]
    assert len(unfair) == len(failures([], unfair))
