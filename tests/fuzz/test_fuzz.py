"""A short run of the fuzzer, and that the fuzzer sees what it looks for."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from stream.errors import BundleError, MalformedRecordError
from tests.fuzz.__main__ import fuzz
from tests.fuzz.mutate import MARK
from tests.fuzz.report import BrokenError, Report, refuse

ROOT = Path(__file__).parents[2]


def test_twenty_thousand_hostile_inputs_find_nothing() -> None:
    """No input escapes the designed errors, is quoted by one or breaks a contract.

    And the inputs get everywhere: past the parser, past the schema, past the bundle's checks.
    """
    summary = fuzz(20_000, seeded=20).summary()
    outcomes = {name: set(target["outcomes"]) for name, target in summary["targets"].items()}
    records = {"MalformedRecordError", "SchemaViolationError", "OversizedRecordError", "Utterance"}

    assert [] == summary["findings"]
    assert records == outcomes["records"]
    assert {"one view", "second view"} <= outcomes["texts"]
    assert {"Bundle", "BundleError"} == outcomes["bundles"]
    assert 19_000 < summary["inputs"] <= 20_000


def test_equal_seeds_make_equal_runs() -> None:
    """A finding can be found again: what a run examines depends on its seed alone."""
    first, second, other = (fuzz(1_000, seeded).summary()["targets"] for seeded in (1, 1, 2))

    assert first == second != other


def escapes() -> NoReturn:
    raise KeyError("unforeseen")


def quotes() -> str:
    return refuse(MalformedRecordError(f"cannot read {MARK}"))


def carries() -> str:
    try:
        try:
            raise ValueError(MARK)
        except ValueError as error:
            raise BundleError from error
    except BundleError as error:
        return refuse(error)


def hides() -> str:
    try:
        try:
            raise ValueError(MARK)
        except ValueError:
            raise BundleError from None
    except BundleError as error:
        return refuse(error)


def breaks() -> NoReturn:
    raise BrokenError("two is three")


@pytest.mark.parametrize(
    ("examine", "kinds"),
    [
        (escapes, ["escaped KeyError"]),
        (quotes, ["broken contract"]),
        (carries, ["broken contract"]),
        (breaks, ["broken contract"]),
        (hides, []),
    ],
)
def test_each_kind_of_fault_is_a_finding_once(examine: Callable[[], str], kinds: list[str]) -> None:
    """What escapes, quotes or breaks is one finding with its count; a designed error is none."""
    report = Report(base_seconds=60.0)
    for _ in range(3):
        report.run("planted", "mutated", b"case", 4, examine)

    assert kinds == [finding["kind"] for finding in report.findings.values()]
    assert [3] * len(kinds) == [finding["times"] for finding in report.findings.values()]


def test_what_takes_too_long_is_listed_and_no_finding() -> None:
    """Time is reported, and decides nothing."""
    report = Report(base_seconds=-1.0, seconds_per_byte=0.0)
    report.run("planted", "mutated", b"case", 4, lambda: "done")

    assert ([4], []) == ([entry["bytes"] for entry in report.slow], [*report.findings])


def test_the_command_prints_one_object() -> None:
    """`python -m tests.fuzz` prints one JSON object, and its status is 0 without a finding."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--inputs", "300", "--seed", "4"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert {"seed", "inputs", "targets", "slow", "findings", "seconds"} == set(
        json.loads(done.stdout)
    )
