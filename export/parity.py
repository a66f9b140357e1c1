"""The gate: whether the exported model, as the worker runs it, does what the trained one does."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from stream.bundle import Bundle, Precision
from stream.classifier import Classifier
from stream.policy import decide
from train.metrics import Scores, softmax


@dataclass(frozen=True)
class Parity:
    """How the served model compares with the trained one on the same texts."""

    texts: int
    max_logit_difference: float
    equal_decisions: float
    """Share of the texts, 0 to 1, on which both decide alike."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Gate:
    """What a bundle must reach to be written."""

    max_logit_difference: float
    equal_decisions: float

    def failures(self, parity: Parity) -> list[str]:
        """Return what `parity` misses and by how much; empty: passed."""
        found = []
        if not parity.max_logit_difference <= self.max_logit_difference:
            found.append(
                f"a logit is off by {parity.max_logit_difference:.2g}, "
                f"allowed is {self.max_logit_difference:g}"
            )
        if not parity.equal_decisions >= self.equal_decisions:
            found.append(
                f"{parity.equal_decisions:.2%} of {parity.texts} decisions are equal, "
                f"needed are {self.equal_decisions:.2%}"
            )
        return found


GATES: Mapping[Precision, Gate] = {
    "fp32": Gate(max_logit_difference=1e-3, equal_decisions=0.995),
    "fp16": Gate(max_logit_difference=0.05, equal_decisions=0.995),
    # Rounded weights move every logit a little; what counts is whom it flags.
    "int8": Gate(max_logit_difference=float("inf"), equal_decisions=0.995),
}


def compare(trained: Scores, served: Scores, thresholds: Mapping[str, float]) -> Parity:
    """Compare two sets of logits [texts, labels]; decisions are the worker's at `thresholds`."""
    equal = [
        decide(one, thresholds).label == decide(other, thresholds).label
        for one, other in zip(softmax(trained), softmax(served), strict=True)
    ]
    return Parity(
        texts=len(equal),
        max_logit_difference=float(np.abs(trained - served).max()),
        equal_decisions=float(np.mean(equal)),
    )


def served_logits(bundle: Bundle, texts: Sequence[str]) -> Scores:
    """Return the logits [texts, labels] of `bundle` on the CPU, from the class that serves it."""
    classifier = Classifier(bundle)
    try:
        return classifier.logits(texts)
    finally:
        classifier.close()
