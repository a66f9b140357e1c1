"""Reads labelled text, refuses what is wrong with it by file and line, and splits it.

A data set is a directory with `train`, `validation` and optionally `test` (`.csv` or `.tsv`), or
one file that is split here. Columns `text` and `label`; others are ignored. CSV follows the usual
quoting rules; in TSV a quotation mark is a character like any other.
"""

import csv
import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stream.schema import LABELS
from stream.text import normalise
from train.errors import DataError

log = logging.getLogger(__name__)

MIN_ROWS_PER_LABEL = 10
"""Fewer rows of a label in the training part than this teach nothing and are refused."""


@dataclass(frozen=True)
class Example:
    """One labelled text, normalised, and the place it came from."""

    text: str
    label: str
    place: str


@dataclass(frozen=True)
class Splits:
    """The three parts; no normalised text stands in two of them."""

    train: Sequence[Example]
    validation: Sequence[Example]
    test: Sequence[Example]
    hashes: dict[str, str]
    """sha256 of every file read, by its name."""

    def counts(self) -> dict[str, dict[str, int]]:
        return {
            part: {label: Counter(row.label for row in rows)[label] for label in LABELS}
            for part, rows in (
                ("train", self.train),
                ("validation", self.validation),
                ("test", self.test),
            )
        }


def load(data: Path, seed: int) -> Splits:
    """Read `data` (a directory or one file) and return its parts. Raises DataError."""
    if data.is_dir():
        splits = _load_directory(data)
    elif data.is_file():
        splits = split(deduplicate(read(data)), seed, {data.name: fingerprint_file(data)})
    else:
        raise DataError(f"{data}: no such file or directory")
    counts = splits.counts()
    for label in LABELS:
        if counts["train"][label] < MIN_ROWS_PER_LABEL:
            raise DataError(
                f"{data}: {counts['train'][label]} training rows labelled {label}; "
                f"at least {MIN_ROWS_PER_LABEL} are needed"
            )
        if not counts["validation"][label]:
            raise DataError(f"{data}: no validation row labelled {label}")
    return splits


def read(path: Path) -> list[Example]:
    """Return the rows of one file. Raises DataError that lists the first bad lines."""
    problems: list[str] = []
    examples: list[Example] = []
    try:
        for line, row in _rows(path):
            text, label = normalise(row["text"] or ""), (row["label"] or "").strip()
            place = f"{path}:{line}"
            if label not in LABELS:
                problems.append(f"{place}: the label is not one of {', '.join(LABELS)}")
            elif not text:
                problems.append(f"{place}: the text is empty (after normalisation)")
            else:
                examples.append(Example(text, label, place))
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start})") from None
    except csv.Error as error:
        raise DataError(f"{path}: {error}") from None
    _refuse(problems)
    return examples


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    tab = path.suffix == ".tsv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(
            file,
            delimiter="\t" if tab else ",",
            quoting=csv.QUOTE_NONE if tab else csv.QUOTE_MINIMAL,
            strict=True,
        )
        for column in ("text", "label"):
            if column not in (reader.fieldnames or ()):
                raise DataError(f"{path}:1: no column {column!r}")
        for row in reader:
            yield reader.line_num, row


def deduplicate(examples: Sequence[Example]) -> list[Example]:
    """Keep the first of every text; raise DataError where one text carries two labels."""
    first: dict[str, Example] = {}
    problems = []
    for example in examples:
        known = first.setdefault(example.text, example)
        if known.label != example.label:
            problems.append(f"{example.place}: the same text as {known.place}, another label")
    _refuse(problems)
    return list(first.values())


def split(examples: Sequence[Example], seed: int, hashes: dict[str, str]) -> Splits:
    """Split 80/10/10 inside each label, in the order of a hash of seed and text.

    By hash, not by a shuffled list: adding rows later moves none of the old ones to another side.
    """
    by_label: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_label[example.label].append(example)
    parts: tuple[list[Example], list[Example], list[Example]] = ([], [], [])
    for rows in by_label.values():
        for row in rows:
            bucket = int(hashlib.sha256(f"{seed}\n{row.text}".encode()).hexdigest()[:8], 16) % 10
            parts[0 if bucket < 8 else bucket - 7].append(row)
    return Splits(*parts, hashes=hashes)


def _load_directory(data: Path) -> Splits:
    files = {}
    for part in ("train", "validation", "test"):
        found = [path for suffix in (".csv", ".tsv") if (path := data / (part + suffix)).is_file()]
        if len(found) > 1:
            raise DataError(f"{data}: both {found[0].name} and {found[1].name}; keep one")
        if found:
            files[part] = found[0]
        elif part != "test":
            raise DataError(f"{data}: no {part}.csv or {part}.tsv")
    rows = {part: read(path) for part, path in files.items()}
    # One pass over all parts, evaluation first: a text on two sides stays where it is measured.
    order = ("test", "validation", "train")
    kept = deduplicate([row for part in order for row in rows.get(part, ())])
    alive = {id(row) for row in kept}
    parts = {part: [row for row in rows.get(part, ()) if id(row) in alive] for part in order}
    dropped = sum(map(len, rows.values())) - len(kept)
    if dropped:
        log.warning("%d rows repeat an earlier text and were left out", dropped)
    hashes = {path.name: fingerprint_file(path) for path in files.values()}
    return Splits(parts["train"], parts["validation"], parts["test"], hashes)


def write(path: Path, examples: Sequence[Example]) -> None:
    """Write `examples` as TSV (normalised text holds no tab and no line break)."""
    lines = ["text\tlabel", *(f"{row.text}\t{row.label}" for row in examples)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def fingerprint(text: str) -> str:
    """Return the sha256 by which a training text is recognised without keeping it."""
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint_file(path: Path) -> str:
    """Return the sha256 of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _refuse(problems: Sequence[str], shown: int = 10) -> None:
    if problems:
        more = f"\n… and {len(problems) - shown} more" if len(problems) > shown else ""
        raise DataError("\n".join(problems[:shown]) + more)
