"""Mixes the project's own corpus with a measured helping of the public ones into one data set.

The corpus is divided by directory (train, validation, test): a writer's lines stand on one side
only, since two lines of one writer resemble each other more than two callers do.
"""

import csv
import hashlib
import json
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stream.schema import LABELS, NORMAL
from stream.text import normalise
from train import corpora
from train.data import Example, deduplicate, fingerprint, read
from train.errors import DataError

log = logging.getLogger(__name__)

SPOKEN = ("3i4k__fci_all", "parakqc__paraKQC_v1", "chatbot_songys__chatbot")
"""Public sets of spoken questions and commands, 정상 as a whole."""

# A question to a chatbot about love or looks would be 성희롱 said to an agent; an unread row
# with such a word teaches the wrong side. `relabelled` holds the read ones.
_UNREAD_RISK = re.compile(
    "애인|남친|여친|남자친구|여자친구|결혼|사귀|사랑|뽀뽀|키스|섹스|야한|야동|가슴|엉덩이|몸매|다리|"
    "예쁘|예뻐|이쁘|이뻐|섹시|벗|속옷|모텔|안아|자자|새끼|씨발|시발|병신|미친|지랄|죽여|죽어|닥쳐|꺼져"
)
PUBLIC_LABELS = "public.tsv"
"""Labels of ours for rows of SPOKEN, by the sha256 of the row: their text is not ours to ship."""

MAX_PUBLIC_CHARACTERS = 60
"""Longer public rows are written comments, no utterances; they cost time and teach the register."""


@dataclass(frozen=True)
class Helping:
    """How much public text goes into training, and how much 정상 speech into validation."""

    relabelled: int
    spoken: int
    spoken_validation: int


def build(corpus: Path, corpora_dir: Path, out: Path, helping: Helping) -> None:
    """Write `out`/train.tsv, validation.tsv, test.tsv and mixture.json (what went in)."""
    parts = {part: list(own(corpus / part)) for part in ("train", "validation", "test")}
    relabelled = sample(public(corpora.SOURCES["relabelled"], corpora_dir), helping.relabelled)
    read_anew = {example.text for example in relabelled}
    parts["train"] += relabelled
    ours = public_labels(corpus)
    for name in SPOKEN:
        # The same helping of each: a hash order over all of them would favour the largest.
        all_rows = order(deduplicate(list(public(corpora.SOURCES[name], corpora_dir))))
        labelled = {row.text: ours.get(fingerprint(row.text)) for row in all_rows}
        parts["train"] += [
            Example(text, label, f"{name} read") for text, label in labelled.items() if label
        ]
        rows = [
            row
            for row in all_rows
            if row.text not in read_anew
            and not labelled[row.text]
            and not _UNREAD_RISK.search(row.text)
        ]
        first, held_out = (n // len(SPOKEN) for n in (helping.spoken, helping.spoken_validation))
        parts["train"] += rows[:first]
        parts["validation"] += rows[first : first + held_out]
    out.mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    report = {}
    for part in ("test", "validation", "train"):
        rows = [row for row in deduplicate(parts[part]) if row.text not in taken]
        taken |= {row.text for row in rows}
        lines = ["text\tlabel\tsource", *(f"{r.text}\t{r.label}\t{r.place}" for r in rows)]
        (out / f"{part}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        counts: Counter[tuple[str, str]] = Counter((row.place, row.label) for row in rows)
        report[part] = {f"{place} {label}": n for (place, label), n in sorted(counts.items())}
        log.info("%s: %d rows", part, len(rows))
    text = json.dumps(report, ensure_ascii=False, indent=2)
    (out / "mixture.json").write_text(text + "\n", encoding="utf-8")


def own(directory: Path) -> Iterator[Example]:
    """Yield the lines and the turns of one part of the corpus; `place` is the source's name."""
    files = sorted(directory.glob("*.tsv"))
    if not files:
        raise DataError(f"{directory}: no .tsv file; give the corpus with --corpus")
    for path in files:
        for row in read(path):
            yield Example(row.text, row.label, path.stem)
    for line in (directory / "calls.jsonl").read_text(encoding="utf-8").splitlines():
        for turn in json.loads(line)["turns"]:
            yield Example(normalise(turn["text"]), turn["label"], "calls")


def public_labels(corpus: Path) -> Mapping[str, str]:
    """Return our label of public rows that were read one by one, by `data.fingerprint`.

    None where the corpus has no such file. Raises DataError for a label that is not ours.
    """
    path = corpus / PUBLIC_LABELS
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        labels = {row["sha256"]: row["label"] for row in csv.DictReader(file, delimiter="\t")}
    if unknown := set(labels.values()) - set(LABELS):
        raise DataError(f"{path}: labels {sorted(unknown)}, not among {list(LABELS)}")
    return labels


def public(source: corpora.Source, corpora_dir: Path) -> Iterator[Example]:
    """Yield the rows of a public source that carry a label of ours and are short as speech is."""
    for row in corpora.rows(source, corpora_dir):
        label = source.label_of(row)
        text = normalise(row[source.text_columns[0]] or "")
        if label and 2 <= len(text) <= MAX_PUBLIC_CHARACTERS:
            yield Example(text, label, source.name)


def sample(examples: Iterator[Example], count: int) -> list[Example]:
    """Return `count` examples, every abusive one before any 정상, else in the order of a hash."""
    rows = order(deduplicate(list(examples)))
    rows.sort(key=lambda row: row.label == NORMAL)
    return rows[:count]


def order(examples: Sequence[Example]) -> list[Example]:
    """Return `examples` in an order that depends on nothing but their texts."""
    return sorted(examples, key=lambda row: rank(row.text))


def rank(text: str) -> bytes:
    """Return the place of `text` in that order: its hash."""
    return hashlib.sha256(text.encode()).digest()
