"""Makes a bundle out of a checkpoint: trace, convert, gate, describe, verify, put in place."""

import hashlib
import json
import logging
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from export import golden, graph, parity, publish, quantise, report
from export.errors import ExportError, GateError
from export.parity import GATES, Gate, Parity
from stream.bundle import (
    MODEL,
    TOKENIZER,
    Bundle,
    Golden,
    Manifest,
    Precision,
    file_hashes,
    read_bundle,
    write_manifest,
)
from stream.classifier import Classifier
from stream.schema import LABELS
from stream.text import NORMALISER_VERSION
from train import data, model
from train.evaluate import logits
from train.fit import write_json
from train.metrics import Scores

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A finished run of `fit`: where it is, what it says of itself, its validation texts."""

    checkpoint: Path
    training: dict[str, Any]
    texts: Sequence[str]


def build(
    checkpoint: Path,
    out: Path,
    precision: Precision,
    name: str | None = None,
    model_version: str | None = None,
    base_model: str | None = None,
    gate: Gate | None = None,
) -> None:
    """Write the bundle `out`, or raise and leave what is there as it is.

    `gate` None is the precision's own. Raises ExportError where the checkpoint cannot be used,
    GateError where the model that came out is not the one that went in.
    """
    publish.check_replaceable(out)
    run = read_run(checkpoint)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
        directory = Path(scratch) / out.name
        directory.mkdir()
        net, tokenizer = model.load(str(checkpoint))
        (directory / TOKENIZER).write_text(tokenizer.backend_tokenizer.to_str(), encoding="utf-8")
        log.info("%d validation texts through the trained model", len(run.texts))
        trained = logits(checkpoint, run.texts)
        ...
