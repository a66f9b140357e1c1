"""Fine-tunes a base model on labelled text: read, split, train, choose, measure, write."""

import json
import logging
import platform
import random
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import Dataset
from transformers import (
    DataCollatorWithPadding,
    EvalPrediction,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from stream.schema import LABELS
from stream.text import NORMALISER_VERSION
from train import data, model
from train.augment import augment
from train.config import FitConfig
from train.data import Example
from train.errors import DataError
from train.evaluate import evaluate_checkpoint
from train.metrics import measure, softmax

log = logging.getLogger(__name__)


class TokenDropoutCollator(DataCollatorWithPadding):  # type: ignore[misc]  # untyped base class
    """Pads a batch and replaces a share of its ordinary tokens by the unknown token."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, rate: float, seed: int) -> None:
        super().__init__(tokenizer)
        self.rate = rate
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        batch: dict[str, torch.Tensor] = super().__call__(features)
        ids = batch["input_ids"]
        special = torch.isin(ids, torch.tensor(self.tokenizer.all_special_ids))
        dropped = (torch.rand(ids.shape, generator=self.generator) < self.rate) & ~special
        batch["input_ids"] = ids.masked_fill(dropped, self.tokenizer.unk_token_id)
        return batch


class AugmentedRows(Dataset[dict[str, Any]]):
    """Training rows that are perturbed anew, and then tokenised, each time they are read.

    The n-th reading of row i depends on the seed, n and i only, so a run can be repeated.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        tokenizer: PreTrainedTokenizerBase,
        rate: float,
        seed: int,
    ) -> None:
        self.examples = examples
        self.tokenizer = tokenizer
        self.rate = rate
        self.seed = seed
        self.readings = [0] * len(examples)

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        example = self.examples[index]
        rng = random.Random(f"{self.seed} {self.readings[index]} {index}")
        self.readings[index] += 1
        text = augment(example.text, rng, self.rate)
        return encode([Example(text, example.label, example.place)], self.tokenizer)[0]


class AverageLast(TrainerCallback):  # type: ignore[misc]  # untyped base class
    """Leaves the model with the mean of its weights over the last share of the steps."""

    EVERY = 10
    """Steps between two samples: neighbours hardly differ, and a sample costs a pass over them."""

    def __init__(self, share: float) -> None:
        self.share = share
        self.average: AveragedModel | None = None

    def on_step_end(self, _: Any, state: Any, __: Any, model: nn.Module, **___: Any) -> None:
        first = state.max_steps * (1 - self.share)
        if state.global_step >= first and state.global_step % self.EVERY == 0:
            if self.average is None:
                self.average = AveragedModel(model)
            self.average.update_parameters(model)

    def on_train_end(self, _: Any, __: Any, ___: Any, model: nn.Module, **____: Any) -> None:
        if self.average is not None:
            model.load_state_dict(self.average.module.state_dict())


class _Trainer(Trainer):  # type: ignore[misc]  # untyped base class
    """Trainer whose token dropout touches training batches only."""

    data_collator: DataCollatorWithPadding
    training_collator: DataCollatorWithPadding

    def get_train_dataloader(self) -> Any:
        plain, self.data_collator = self.data_collator, self.training_collator
        try:
            return super().get_train_dataloader()
        finally:
            self.data_collator = plain


def fit(config: FitConfig) -> None:
    """Run the whole of it; `config.out` then holds the checkpoint described in `_finish`."""
    if (config.out / "training.json").exists():
        raise DataError(f"{config.out}: holds a finished run; choose another --out")
    set_seed(config.seed)
    splits = data.load(config.data, config.seed)
    for part, counts in splits.counts().items():
        log.info("%s: %s", part, ", ".join(f"{n} {label}" for label, n in counts.items()))
    net, tokenizer = model.load(config.base_model, config.pooling)
    tokenizer.model_max_length = min(config.max_length, net.config.max_position_embeddings)

    steps = total_steps(len(splits.train), config)
    warmup = clamped_warmup(config.warmup_steps, steps)
    if warmup < config.warmup_steps:
        log.info("warm-up clamped from %d to %d of %d steps", config.warmup_steps, warmup, steps)
    trainer = _Trainer(
        model=net,
        args=TrainingArguments(
            output_dir=str(config.out / "checkpoints"),
            num_train_epochs=config.epochs,
            per_device_train_batch_size=config.batch_size,
            per_device_eval_batch_size=64,
            learning_rate=config.learning_rate,
            warmup_steps=warmup,
            weight_decay=config.weight_decay,
            optim="adamw_torch_fused",
            label_smoothing_factor=config.label_smoothing,
            logging_steps=config.logging_steps,
            eval_strategy="epoch",
            save_strategy="epoch",
            save_total_limit=2,
            load_best_model_at_end=not config.average_last,
            metric_for_best_model="macro_f1",
            # Rows of like length ride together: no token is computed for padding's sake.
            group_by_length=True,
            seed=config.seed,
            report_to=[],
            remove_unused_columns=False,
            dataloader_pin_memory=torch.cuda.is_available(),
        ),
        train_dataset=AugmentedRows(splits.train, tokenizer, config.augment, config.seed),
        eval_dataset=encode(splits.validation, tokenizer),
        processing_class=tokenizer,
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=_validation_metrics,
        callbacks=[AverageLast(config.average_last)] if config.average_last else [],
    )
    trainer.training_collator = TokenDropoutCollator(tokenizer, config.token_dropout, config.seed)
    trainer.train()
    if trainer.is_world_process_zero():
        _finish(config, splits, trainer)


def total_steps(rows: int, config: FitConfig) -> int:
    """Return the optimiser steps of the whole run on one device."""
    return int(-(-rows // config.batch_size) * config.epochs)


def clamped_warmup(asked: int, steps: int) -> int:
    """Return the warm-up: as asked, but at most a fifth of all steps."""
    return min(asked, steps // 5)


def encode(examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase) -> list[dict[str, Any]]:
    """Return one {input_ids, attention_mask, label} a row, cut at the tokenizer's length."""
    encoded = tokenizer([row.text for row in examples], truncation=True)
    return [
        {
            "input_ids": ids,
            "attention_mask": [1] * len(ids),
            "label": LABELS.index(row.label),
        }
        for ids, row in zip(encoded["input_ids"], examples, strict=True)
    ]


def _validation_metrics(prediction: EvalPrediction) -> dict[str, float]:
    logits = np.asarray(prediction.predictions)
    report = measure(softmax(logits), np.asarray(prediction.label_ids))
    return {"accuracy": report["accuracy"], "macro_f1": report["macro_f1"]}


def _finish(config: FitConfig, splits: data.Splits, trainer: Trainer) -> None:
    """Write the checkpoint: weights, config, tokenizer, the evaluation texts, training.json.

    The evaluation texts stay with the checkpoint so that `evaluate` and the exporter's parity
    gate measure on what was never trained on; a bundle does not carry them.
    """
    out = config.out
    trainer.save_model(str(out))
    data.write(out / "validation.tsv", splits.validation)
    data.write(out / "test.tsv", splits.test or splits.validation)
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
    """Return thresholds chosen on the run's validation texts, and the metrics of both parts."""
    validation = evaluate_checkpoint(
        run, run / "validation.tsv", false_alarm_budget=false_alarm_budget
    )
    thresholds = validation["thresholds"]
    return {
        "false_alarm_budget": false_alarm_budget,
        "thresholds": thresholds,
        "metrics": {
            "validation": validation,
            "test": evaluate_checkpoint(run, run / "test.tsv", thresholds),
        },
    }


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` for people to read as well: indented, Korean as it is."""
    text = json.dumps(content, ensure_ascii=False, indent=2)
    path.write_text(text + "\n", encoding="utf-8")
