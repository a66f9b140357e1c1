"""The figures by which a model is judged; pure functions of scores and labels."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from stream.policy import decide
from stream.schema import FLAGGED_LABELS, LABELS, NORMAL

Scores = npt.NDArray[np.float32]
Targets = npt.NDArray[np.int64]


def softmax(logits: npt.NDArray[Any]) -> Scores:
    """Return scores [rows, labels] for logits of that shape; every row adds up to 1."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), dtype=np.float32)


def measure(scores: Scores, targets: Targets, thresholds: Mapping[str, float] | None = None) -> Any:
    """Return the report of `scores` [rows, labels] against `targets` [rows], ready for JSON.

    Without `thresholds` the decision is the highest score; with them it is the worker's own.
    """
    if thresholds is None:
        predicted = scores.argmax(axis=1)
    else:
        predicted = np.array([LABELS.index(decide(row, thresholds).label) for row in scores])
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


def choose_thresholds(scores: Scores, targets: Targets, budget: float) -> dict[str, float]:
    """Return the lowest threshold per label that together flag at most `budget` of the 정상 rows.

    Each label gets half of the budget. The lower a threshold, the more is caught; 0.3 is the
    floor, below which a label would be flagged although another is far likelier. 0.99 is the
    ceiling, so that a label can be flagged at all: 정상 rows scored over it break the budget.
    """
    normal = scores[targets == LABELS.index(NORMAL)]
    allowed = int(len(normal) * budget / len(FLAGGED_LABELS))
    thresholds = {}
    for label in FLAGGED_LABELS:
        ranked = np.sort(normal[:, LABELS.index(label)])[::-1]
        # Just above the first score that is no longer allowed.
        bound = float(np.nextafter(ranked[allowed], np.float32(2))) if len(ranked) > allowed else 0
        thresholds[label] = float(np.clip(bound, 0.3, 0.99))
    return thresholds
