"""The figures by which a model is judged; pure functions of scores and labels."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    precision_recall_curve,
    precision_recall_fscore_support,
)

from stream.policy import decide
from stream.schema import FLAGGED_LABELS, LABELS, NORMAL

Scores = npt.NDArray[np.float32]
Targets = npt.NDArray[np.int64]
ScoreOf = Callable[[Sequence[str]], Scores]
"""Scores [texts, labels] of normalised texts."""


def softmax(logits: npt.NDArray[Any]) -> Scores:
    """Return scores [rows, labels] for logits of that shape; every row adds up to 1."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), dtype=np.float32)


def measure(scores: Scores, targets: Targets, thresholds: Mapping[str, float] | None = None) -> Any:
    """Return the report of `scores` [rows, labels] against `targets` [rows], ready for JSON.

    Without `thresholds` the decision is the highest score; with them it is the worker's own.
    """
    predicted = scores.argmax(axis=1) if thresholds is None else decisions(scores, thresholds)
    everything = list(range(len(LABELS)))
    precision, recall, f1, support = precision_recall_fscore_support(
        targets, predicted, labels=everything, zero_division=0
    )
    normal = LABELS.index(NORMAL)
    flagged = predicted[targets == normal] != normal
    return {
        "rows": len(targets),
        "accuracy": float(accuracy_score(targets, predicted)),
        "macro_f1": float(f1.mean()),
        "labels": {
            label: {
                "precision": float(precision[i]),
                "recall": float(recall[i]),
                "f1": float(f1[i]),
                "rows": int(support[i]),
            }
            for i, label in enumerate(LABELS)
        },
        "detection_rate": {label: float(recall[LABELS.index(label)]) for label in FLAGGED_LABELS},
        "false_positive_rate": float(flagged.mean()) if flagged.size else 0.0,
        "confusion": confusion_matrix(targets, predicted, labels=everything).tolist(),
    }


def judge(scores: Scores, targets: Targets, thresholds: Mapping[str, float]) -> dict[str, Any]:
    """Return the report by the highest score, and the one by the worker's own decision."""
    return {
        "highest_score": measure(scores, targets),
        "at_thresholds": measure(scores, targets, thresholds),
    }


def choose_thresholds(scores: Scores, targets: Targets, budget: float) -> dict[str, float]:
    """Return the threshold per label that catch most, flagging at most `budget` of the 정상 rows.

    The budget is shared out between the labels so that the mean of their detection rates is
    highest; where several shares give the same, the most even one is taken. 0.3 is the floor,
    below which a label would be flagged although another is far likelier. 0.99 is the ceiling,
    so that a label can be flagged at all: 정상 rows scored over it break the budget.
    """
    normal = scores[targets == LABELS.index(NORMAL)]
    allowed = int(len(normal) * budget)
    first, second = FLAGGED_LABELS
    bounds, caught = {}, {}
    for label in FLAGGED_LABELS:
        column = LABELS.index(label)
        ranked = np.append(np.sort(normal[:, column])[::-1], 0.0)
        # A little above the first score that is no longer allowed: an exported model moves
        # scores, and one that stood at its threshold would fall on either side of it.
        bounds[label] = np.clip(ranked[: allowed + 1] + 0.001, 0.3, 0.99)
        own = np.sort(scores[targets == column, column])
        over = len(own) - np.searchsorted(own, bounds[label])
        caught[label] = over / max(len(own), 1)
    shares = range(min(map(len, bounds.values())))
    last = len(shares) - 1
    best = max(
        shares, key=lambda n: (caught[first][n] + caught[second][last - n], -abs(2 * n - last))
    )
    return {first: float(bounds[first][best]), second: float(bounds[second][last - best])}


def decisions(scores: Scores, thresholds: Mapping[str, float]) -> Targets:
    """Return the worker's decision for every row of `scores`, as an index into LABELS."""
    decided = [LABELS.index(decide(row, thresholds).label) for row in scores]
    return np.array(decided, dtype=np.int64)


def grouped(groups: Sequence[str], targets: Targets, decided: Targets) -> list[dict[str, Any]]:
    """Return one row a group and true label, in that order: how many, and decided as what.

    `right` is the share decided as its own label: recall of 욕설 and 성희롱; of 정상, the share
    that stays silent.
    """
    counts: dict[tuple[str, int], Any] = defaultdict(lambda: np.zeros(len(LABELS), np.int64))
    for group, target, decision in zip(groups, targets.tolist(), decided.tolist(), strict=True):
        counts[group, target][decision] += 1
    return [
        {
            "group": group,
            "label": LABELS[target],
            "rows": int(row.sum()),
            "right": float(row[target] / row.sum()),
            "decided": dict(zip(LABELS, row.tolist(), strict=True)),
        }
        for (group, target), row in sorted(counts.items(), key=lambda item: item[0])
    ]


def precision_recall(scores: Scores, targets: Targets, points: int = 100) -> dict[str, Any]:
    """Return precision against recall per flagged label that has rows, thinned to `points`."""
    curves = {}
    for label in FLAGGED_LABELS:
        column = LABELS.index(label)
        truth = targets == column
        if not truth.any():
            continue
        precision, recall, _ = precision_recall_curve(truth, scores[:, column])
        kept = np.unique(np.linspace(0, len(recall) - 1, points).round().astype(int))
        curves[label] = {
            "average_precision": float(average_precision_score(truth, scores[:, column])),
            "precision": precision[kept].tolist(),
            "recall": recall[kept].tolist(),
        }
    return curves


BUDGETS = (0.005, 0.01, 0.02, 0.03)
"""Shares of false alarms for which a run states what it would catch."""


def at_budgets(
    chosen_on: tuple[Scores, Targets],
    measured_on: tuple[Scores, Targets],
    budgets: Sequence[float],
) -> list[dict[str, Any]]:
    """Return detection and false alarms at the thresholds that each budget of false alarms gives.

    Thresholds are chosen on the first set and the figures are of the second.
    """
    rows = []
    for budget in budgets:
        thresholds = choose_thresholds(*chosen_on, budget)
        report = measure(*measured_on, thresholds)
        figures = {name: report[name] for name in ("rows", "detection_rate", "false_positive_rate")}
        rows.append({"budget": budget, "thresholds": thresholds, **figures})
    return rows


def calibration(scores: Scores, targets: Targets, bins: int = 15) -> dict[str, Any]:
    """Return how far the top score can be read as the chance of being right.

    Expected calibration error (Guo et al. 2017): the mean over equal-width bins of the top score
    of |share right - mean score|, weighted by rows. The Brier score is the multi-class one, the
    squared distance of the scores from the truth, 0 to 2. Empty bins are left out.
    """
    top = scores.max(axis=1).astype(np.float64)
    right = scores.argmax(axis=1) == targets
    place = np.minimum((top * bins).astype(int), bins - 1)
    table = [
        {
            "rows": int((place == index).sum()),
            "score": float(top[place == index].mean()),
            "right": float(right[place == index].mean()),
        }
        for index in np.unique(place)
    ]
    error = sum(row["rows"] * abs(row["right"] - row["score"]) for row in table) / len(targets)
    # float32 scores add up to 1 less closely than scikit-learn demands.
    exact = scores.astype(np.float64) / scores.sum(axis=1, keepdims=True, dtype=np.float64)
    brier = brier_score_loss(targets, exact, labels=list(range(len(LABELS))))
    return {"expected_calibration_error": error, "brier": float(brier), "bins": table}


def weight_changes(
    before: Mapping[str, npt.NDArray[Any]], after: Mapping[str, npt.NDArray[Any]]
) -> dict[str, Any]:
    """Return |after - before| / |before| (Frobenius) per part of a BERT encoder.

    Both map transformers' parameter names, without the prefix `bert.`, to weights. A part is the
    embeddings, one encoder layer (counted from 1) or the pooler. `not_compared` names encoder
    parameters that only one side has or whose shapes differ.
    """
    squares: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    left_out = before.keys() ^ after.keys()
    for name in (name for name in before if name in after):
        if before[name].shape != after[name].shape:
            left_out |= {name}
            continue
        old = before[name].astype(np.float64)
        sums = squares[_part(name)]
        sums[0] += float(((after[name] - old) ** 2).sum())
        sums[1] += float((old**2).sum())
    return {
        "parts": [
            {"part": part, "change": float(np.sqrt(change / size)) if size else None}
            for part, (change, size) in squares.items()
        ],
        "not_compared": sorted(left_out),
    }


def _part(parameter: str) -> str:
    first, *rest = parameter.split(".")
    return f"layer {int(rest[1]) + 1}" if first == "encoder" else first
