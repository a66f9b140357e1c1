"""The corpus holds what its data card promises."""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stream.schema import ABUSE, LABELS, NORMAL, SEXUAL_HARASSMENT
from stream.text import normalise
from train.mixture import SPOKEN

CORPUS = Path(__file__).parents[2] / "train/corpus"
PARTS = ("train", "validation", "test")
REGISTERS = {"call", "work", "counter", "chat", "public", "home", "third"}
HARD = {
    "report",
    "body_medical",
    "clothing_product",
    "lookalike",
    "idiom",
    "personal_business",
    "affection",
    "reproach",
}


@dataclass(frozen=True)
class Line:
    """One line of the corpus and where it stands."""

    part: str
    text: str
    label: str
    kind: str
    register: str
    source: str


def read(path: Path, part: str) -> Iterator[Line]:
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            row.pop("pair", None)
            yield Line(part, **row)


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    return [
        line
        for part in PARTS
        for path in sorted((CORPUS / part).glob("*.tsv"))
        for line in read(path, part)
    ]


@pytest.fixture(scope="module")
def pairs() -> list[Line]:
    return list(read(CORPUS / "pairs.tsv", "pairs"))


def calls(part: str) -> list[dict[str, object]]:
    text = (CORPUS / part / "calls.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def listed_kinds() -> dict[str, str]:
    """Return the label of every kind that the data card lists, in its tables of kinds."""
    kinds = {}
    for row in (CORPUS / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if len(cells) == 4 and cells[0] in LABELS:
            kinds[cells[1].strip("`")] = cells[0]
    return kinds


def test_there_is_enough_of_every_label(lines: list[Line]) -> None:
    """Outside the test part: 5,000 욕설, 5,000 성희롱, 7,500 정상, 2,500 of them hard."""
    counts = Counter(line.label for line in lines if line.part != "test")
    assert counts[ABUSE] >= 5000
    assert counts[SEXUAL_HARASSMENT] >= 5000
    assert counts[NORMAL] >= 7500
    hard = sum(line.kind in HARD for line in lines if line.part != "test")
    assert hard >= 2500


def test_every_kind_is_listed_and_has_a_hundred_lines(lines: list[Line]) -> None:
    """The data card lists each kind under one label, and each has 100 lines outside the test."""
    listed = listed_kinds()
    assert {(line.kind, line.label) for line in lines} == set(listed.items())
    counts = Counter(line.kind for line in lines if line.part != "test")
    assert {} == {kind: counts[kind] for kind in listed if counts[kind] < 100}


def test_abuse_is_met_elsewhere_too(lines: list[Line]) -> None:
    """At least 1,400 lines of either abusive label were said elsewhere than in a call."""
    assert {line.register for line in lines} == REGISTERS
    elsewhere = Counter(
        line.label for line in lines if line.register != "call" and line.part != "test"
    )
    assert elsewhere[ABUSE] >= 1400
    assert elsewhere[SEXUAL_HARASSMENT] >= 1400


def test_the_test_part_is_large_and_independent(lines: list[Line]) -> None:
    """400 lines a label, a quarter from other registers, 30 calls, writers found nowhere else."""
    test = [line for line in lines if line.part == "test"]
    for label in LABELS:
        own = [line for line in test if line.label == label]
        assert len(own) >= 400
        assert sum(line.register != "call" for line in own) >= len(own) // 4
    assert len(calls("test")) >= 30
    writers = {part: {line.source for line in lines if line.part == part} for part in PARTS}
    assert not writers["test"] & (writers["train"] | writers["validation"])
    assert not writers["train"] & writers["validation"]


def test_no_two_lines_resemble_each_other(lines: list[Line], pairs: list[Line]) -> None:
    """No text stands twice, and no two share over 0.6 of their character trigrams (Jaccard).

    The two sides of a minimal pair are meant to resemble each other, so pairs are compared with
    the lines and not among themselves.
    """
    texts = [normalise(line.text) for line in (*pairs, *lines)]
    assert len(texts) == len(set(texts))
    grams = [frozenset(f" {text} "[i : i + 3] for i in range(len(text))) for text in texts]
    holders: dict[str, list[int]] = defaultdict(list)
    alike = []
    for index, own in enumerate(grams):
        shared: Counter[int] = Counter()
        for gram in own:
            shared.update(holders[gram])
            holders[gram].append(index)
        if index < len(pairs):
            continue
        alike += [
            (texts[other], texts[index])
            for other, common in shared.items()
            if common / (len(own) + len(grams[other]) - common) > 0.6
        ]
    assert [] == alike


def test_minimal_pairs_are_pairs() -> None:
    """Each of the 300 pairs has one harmless and one abusive side."""
    with (CORPUS / "pairs.tsv").open(encoding="utf-8", newline="") as file:
        sides = defaultdict(list)
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            sides[row["pair"]].append(row["label"])
    assert 300 == len(sides)
    assert all(2 == len(labels) and 1 == labels.count(NORMAL) for labels in sides.values())


@pytest.mark.parametrize("part", PARTS)
def test_calls_are_labelled_turn_by_turn(part: str) -> None:
    """Every turn has a speaker, a text and a label, and no call stands in two parts."""
    for call in calls(part):
        turns = call["turns"]
        assert isinstance(turns, list)
        assert len(turns) >= 8
        assert all(turn["label"] in LABELS for turn in turns)
        assert all(turn["speaker"] in ("agent", "customer") for turn in turns)
        assert all(normalise(turn["text"]) for turn in turns)
    others = {call["call_id"] for other in PARTS if other != part for call in calls(other)}
    assert not others & {call["call_id"] for call in calls(part)}


def test_public_labels_are_ours_and_stand_once() -> None:
    """Each row of public speech that was read has one label of ours and its set's name."""
    with (CORPUS / "public.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert len(rows) == len({row["sha256"] for row in rows})
    assert {row["label"] for row in rows} <= set(LABELS)
    assert {row["source"] for row in rows} <= set(SPOKEN)
    assert all(64 == len(row["sha256"]) for row in rows)


def test_no_text_names_a_number_that_could_be_dialled(lines: list[Line]) -> None:
    """No line holds a telephone, account or card number in digits."""
    digits = [sum(character.isdigit() for character in line.text) for line in lines]
    assert max(digits) < 9
