"""Fine-tunes a base model on labelled text: read, split, train, choose, measure, write."""

import json
import logging
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from transformers import Trainer, set_seed

from stream.schema import LABELS
from stream.text import NORMALISER_VERSION
from train import data, model
from train.config import FitConfig, RunConfig
from train.errors import DataError
from train.evaluate import evaluation, scored
from train.metrics import BUDGETS, at_budgets, choose_thresholds
from train.training import trained

log = logging.getLogger(__name__)


def fit(config: FitConfig) -> None:
    """Run the whole of it; `config.out` then holds the checkpoint described in `finish`."""
    splits = begin(config)
    net, tokenizer = model.load(config.base_model, config.pooling, config.dropout)
    trainer = trained(
        config,
        net,
        tokenizer,
        [row.text for row in splits.train],
        [LABELS.index(row.label) for row in splits.train],
        splits.validation,
        config.label_smoothing,
    )
    finish(config, splits, trainer)


def begin(config: RunConfig) -> data.Splits:
    """Refuse a finished run's directory, seed everything, read the labelled text."""
    if (config.out / "training.json").exists():
        raise DataError(f"{config.out}: holds a finished run; choose another --out")
    set_seed(config.seed)
    splits = data.load(config.data, config.seed)
    for part, counts in splits.counts().items():
        log.info("%s: %s", part, ", ".join(f"{n} {label}" for label, n in counts.items()))
    return splits


def finish(config: RunConfig, splits: data.Splits, trainer: Trainer) -> None:
    """Write the checkpoint: weights, config, tokenizer, the evaluation texts, training.json.

    The evaluation texts stay with the checkpoint so that `evaluate` and the exporter's parity
    gate measure on what was never trained on; a bundle does not carry them. The training texts
    leave their hashes, by which `report` knows which public rows are new to the model.
    """
    if not trainer.is_world_process_zero():
        return
    out = config.out
    trainer.save_model(str(out))
    data.write(out / "validation.tsv", splits.validation)
    data.write(out / "test.tsv", splits.test or splits.validation)
    hashes = sorted(data.fingerprint(row.text) for row in splits.train)
    (out / "train_texts.sha256").write_text("\n".join(hashes) + "\n", encoding="utf-8")
    training = {
        "config": config.model_dump(mode="json"),
        "normaliser_version": NORMALISER_VERSION,
        "labels": list(LABELS),
        "max_length": trainer.processing_class.model_max_length,
        "rows": splits.counts(),
        "data_sha256": splits.hashes,
        **figures(out, config.false_alarm_budget),
        "log": trainer.state.log_history,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers", "tokenizers", "numpy")},
        },
    }
    write_json(out / "training.json", training)
    log.info("%s is ready to be exported", out)


def figures(run: Path, false_alarm_budget: float) -> dict[str, Any]:
    """Return the thresholds (chosen on validation), their curve, the metrics of both parts."""
    validation, test = (scored(run, run / f"{part}.tsv") for part in ("validation", "test"))
    thresholds = choose_thresholds(*validation, false_alarm_budget)
    return {
        "false_alarm_budget": false_alarm_budget,
        "thresholds": thresholds,
        "threshold_curve": {
            "validation": at_budgets(validation, validation, BUDGETS),
            "test": at_budgets(validation, test, BUDGETS),
        },
        "metrics": {
            "validation": evaluation("validation.tsv", *validation, thresholds),
            "test": evaluation("test.tsv", *test, thresholds),
        },
    }


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` for people to read as well: indented, Korean as it is."""
    text = json.dumps(content, ensure_ascii=False, indent=2)
    path.write_text(text + "\n", encoding="utf-8")
