"""What a model is asked beyond its own test part: each kind of line, whole calls, minimal pairs,
perturbed lines, public speech.

Pure but for the three readers. The figures take a `ScoreOf`, so that one pass of the model over
all texts serves them all.
"""

import csv
import json
import random
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stream.schema import FLAGGED_LABELS, LABELS, NORMAL
from stream.text import normalise
from train import corpora, data, mixture
from train.data import Example
from train.errors import DataError
from train.metrics import ScoreOf, Scores, Targets, at_budgets, decisions, grouped

Perturbations = Mapping[str, Callable[[str, random.Random], str]]

CALLS = "calls"
_CALL_REGISTER = "call"


@dataclass(frozen=True)
class Line:
    """One labelled, normalised text of the corpus and what its author says of it."""

    text: str
    label: str
    kind: str
    register: str
    source: str
    group: str = ""
    """The call that a turn belongs to, or the pair that a line belongs to; else empty."""


def targets_of(rows: Sequence[Line] | Sequence[Example]) -> Targets:
    """Return the true labels of `rows` as indices into LABELS."""
    return np.array([LABELS.index(row.label) for row in rows], dtype=np.int64)


def read_lines(path: Path) -> list[Line]:
    """Return the lines of one .tsv of the corpus. Raises DataError as `data.read` does."""
    examples = data.read(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        Line(
            text=example.text,
            label=example.label,
            kind=row.get("kind") or "",
            register=row.get("register") or "",
            source=row.get("source") or path.stem,
            group=row.get("pair") or "",
        )
        for example, row in zip(examples, rows, strict=True)
    ]


def read_part(directory: Path) -> list[Line]:
    """Return all lines of one part of the corpus, then every turn of its whole calls."""
    lines = [line for path in sorted(directory.glob("*.tsv")) for line in read_lines(path)]
    calls = directory / "calls.jsonl"
    if calls.is_file():
        for number, content in enumerate(calls.read_text(encoding="utf-8").splitlines(), 1):
            for turn in json.loads(content)["turns"]:
                text, label = normalise(turn["text"]), turn["label"]
                lines.append(Line(text, label, "", _CALL_REGISTER, CALLS, str(number)))
    if not lines:
        raise DataError(f"{directory}: no labelled text; give the corpus with --corpus")
    return lines


def read_spoken(corpora_dir: Path, seen: Collection[str], count: int) -> dict[str, list[str]]:
    """Return `count` texts of each public set of harmless speech that are not in `seen`.

    `seen` holds sha256 of normalised texts. The choice depends on nothing but the texts.
    """
    chosen = {}
    for name in mixture.SPOKEN:
        texts = map(normalise, corpora.texts(corpora.SOURCES[name], corpora_dir))
        unique = sorted(filter(None, dict.fromkeys(texts)), key=mixture.rank)
        new = [text for text in unique if data.fingerprint(text) not in seen]
        chosen[name] = new[:count]
    return chosen


def part_figures(
    lines: Sequence[Line], score_of: ScoreOf, thresholds: Mapping[str, float]
) -> dict[str, Any]:
    """Return one part of the corpus by kind, register and source, and its whole calls.

    The register `call` holds lines and turns; kinds are those of lines, since turns have none.
    """
    targets = targets_of(lines)
    decided = decisions(score_of([line.text for line in lines]), thresholds)
    alone = [index for index, line in enumerate(lines) if line.source != CALLS]
    by_kind = grouped([lines[index].kind for index in alone], targets[alone], decided[alone])
    figures = {
        "rows": len(lines),
        "kind": by_kind,
        "register": grouped([line.register for line in lines], targets, decided),
        "source": grouped([line.source for line in lines], targets, decided),
    }
    wrong: dict[str, bool] = defaultdict(bool)
    silent = LABELS.index(NORMAL)
    for line, target, decision in zip(lines, targets, decided, strict=True):
        if line.source == CALLS:
            wrong[line.group] |= bool(decision not in (silent, target))
    if wrong:
        figures["calls"] = {
            "calls": len(wrong),
            "turns": len(lines) - len(alone),
            "with_a_wrong_flag": sum(wrong.values()) / len(wrong),
        }
    return figures


def budget_figures(
    lines: Sequence[Line],
    chosen_on: tuple[Scores, Targets],
    score_of: ScoreOf,
    budgets: Sequence[float],
) -> dict[str, Any]:
    """Return what each budget of false alarms gives in calls, and in the other registers."""
    parts = {
        "call": [line for line in lines if line.register == _CALL_REGISTER],
        "other": [line for line in lines if line.register != _CALL_REGISTER],
    }
    return {
        name: {
            "labels": {label: sum(line.label == label for line in part) for label in LABELS},
            "at": at_budgets(
                chosen_on, (score_of([line.text for line in part]), targets_of(part)), budgets
            ),
        }
        for name, part in parts.items()
        if part
    }


def pair_figures(
    lines: Sequence[Line], score_of: ScoreOf, thresholds: Mapping[str, float]
) -> dict[str, Any]:
    """Return how many minimal pairs are told apart, in all and by the abusive twin's label.

    Raises DataError where a pair is not one harmless and one abusive line.
    """
    decided = decisions(score_of([line.text for line in lines]), thresholds)
    pairs: dict[str, dict[bool, tuple[str, bool]]] = defaultdict(dict)
    for line, decision in zip(lines, decided, strict=True):
        pairs[line.group][line.label == NORMAL] = (line.label, LABELS[decision] == line.label)
    if len(lines) != 2 * len(pairs) or any(len(pair) != 2 for pair in pairs.values()):
        raise DataError("pairs.tsv: every pair needs one line labelled 정상 and one that is not")

    def shares(label: str | None) -> dict[str, Any]:
        sides = [
            (pair[False][1], pair[True][1])
            for pair in pairs.values()
            if label in (None, pair[False][0])
        ]
        flagged, silent = np.array(sides, dtype=bool).reshape(-1, 2).T
        return {
            "pairs": len(sides),
            "both_right": _share(flagged & silent),
            "abusive_flagged": _share(flagged),
            "harmless_silent": _share(silent),
        }

    return {"all": shares(None), **{label: shares(label) for label in FLAGGED_LABELS}}


def perturb(texts: Sequence[str], perturbations: Perturbations) -> dict[str, dict[int, str]]:
    """Return, per perturbation, the texts that it changed as the model reads them, by index.

    Each perturbation has its own generator: another one more or less changes none of the rest.
    """
    changed: dict[str, dict[int, str]] = {}
    for name, change in perturbations.items():
        rng = random.Random(20)
        written = (normalise(change(text, rng)) for text in texts)
        changed[name] = {
            index: new
            for index, (old, new) in enumerate(zip(texts, written, strict=True))
            if new and new != old
        }
    return changed


def perturbation_figures(
    abusive: Sequence[Example],
    changed: Mapping[str, Mapping[int, str]],
    score_of: ScoreOf,
    thresholds: Mapping[str, float],
) -> dict[str, Any]:
    """Return recall of the lines that a perturbation changed, clean and perturbed.

    Recall is the share flagged with its own label; both are of the changed lines only.
    """

    def found(rows: Sequence[Example], texts: Sequence[str]) -> Any:
        return decisions(score_of(texts), thresholds) == targets_of(rows)

    report = {}
    for name, texts in changed.items():
        rows = [abusive[index] for index in texts]
        clean = found(rows, [row.text for row in rows])
        perturbed = found(rows, list(texts.values()))
        label_of = np.array([row.label for row in rows])
        report[name] = {
            "lines": len(abusive),
            "changed": len(rows),
            "clean": _share(clean),
            "perturbed": _share(perturbed),
            "labels": {
                label: {
                    "changed": int((label_of == label).sum()),
                    "clean": _share(clean[label_of == label]),
                    "perturbed": _share(perturbed[label_of == label]),
                }
                for label in FLAGGED_LABELS
            },
        }
    return report


def spoken_figures(
    sets: Mapping[str, Sequence[str]], score_of: ScoreOf, thresholds: Mapping[str, float]
) -> dict[str, Any]:
    """Return the share of harmless public speech that is flagged, per set and label."""
    report = {}
    for name, texts in sets.items():
        decided = decisions(score_of(texts), thresholds)
        report[name] = {
            "rows": len(texts),
            "false_alarms": _share(decided != LABELS.index(NORMAL)),
            "labels": {label: _share(decided == LABELS.index(label)) for label in FLAGGED_LABELS},
        }
    return report


def _share(found: Any) -> float | None:
    """Return the share of true values; None of nothing."""
    return float(np.mean(found)) if len(found) else None
