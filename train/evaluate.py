"""Scores a checkpoint on labelled text and says how good it is."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stream.schema import LABELS
from train import data, model
from train.metrics import ScoreOf, Scores, Targets, judge, softmax

log = logging.getLogger(__name__)


def score(checkpoint: Path, texts: Sequence[str], batch_size: int = 64) -> Scores:
    """Return the torch model's scores [texts, labels] for normalised `texts`."""
    return softmax(logits(checkpoint, texts, batch_size))


def score_all(checkpoint: Path, texts: Sequence[str]) -> ScoreOf:
    """Score every different text once and return the scores of any of them."""
    different = list(dict.fromkeys(texts))
    log.info("scoring %d texts", len(different))
    known = dict(zip(different, score(checkpoint, different), strict=True))

    def score_of(wanted: Sequence[str]) -> Scores:
        return np.array([known[text] for text in wanted], np.float32).reshape(-1, len(LABELS))

    return score_of


def logits(checkpoint: Path, texts: Sequence[str], batch_size: int = 64) -> Scores:
    """Return the torch model's logits [texts, labels] for normalised `texts`."""
    net, tokenizer = model.load(str(checkpoint))
    net.eval()
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    rows = np.zeros((len(texts), len(LABELS)), np.float32)
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = tokenizer(
            [texts[index] for index in chosen], truncation=True, padding=True, return_tensors="pt"
        )
        with torch.inference_mode():
            rows[chosen] = net(**batch).logits.float().numpy()
    return rows


def scored(checkpoint: Path, file: Path) -> tuple[Scores, Targets]:
    """Return the scores [rows, labels] and targets [rows] of the labelled `file`."""
    examples = data.deduplicate(data.read(file))
    scores = score(checkpoint, [example.text for example in examples])
    return scores, np.array([LABELS.index(example.label) for example in examples])


def evaluation(
    file: str, scores: Scores, targets: Targets, thresholds: Mapping[str, float]
) -> dict[str, Any]:
    """Return the figures of `file`: by the highest score, and as the worker decides."""
    return {"file": file, "thresholds": dict(thresholds), **judge(scores, targets, thresholds)}


def table(report: Mapping[str, Any]) -> str:
    """Return one of the two reports as text for a terminal."""
    lines = [f"{report['rows']} rows, accuracy {report['accuracy']:.2%}"]
    lines += [
        f"  {label}: precision {row['precision']:.2%}  recall {row['recall']:.2%}  "
        f"F1 {row['f1']:.2%}  ({row['rows']} rows)"
        for label, row in report["labels"].items()
    ]
    lines += [
        f"  detection {label}: {rate:.2%}" for label, rate in report["detection_rate"].items()
    ]
    lines.append(f"  false positives on 정상: {report['false_positive_rate']:.2%}")
    lines.append("  confusion (rows true, columns decided; 정상, 욕설, 성희롱)")
    lines += ["    " + " ".join(f"{n:6d}" for n in row) for row in report["confusion"]]
    return "\n".join(lines)
