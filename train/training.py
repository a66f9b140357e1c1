"""One training run of a classifier, whatever its targets: rows, loss, averaging, arguments."""

import logging
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import Dataset, Sampler
from transformers import (
    DataCollatorWithPadding,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.trainer_pt_utils import get_length_grouped_indices

from stream.schema import LABELS
from train.augment import augment
from train.config import RunConfig
from train.data import Example
from train.metrics import Scores, measure, softmax

log = logging.getLogger(__name__)


def trained(
    config: RunConfig,
    net: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    targets: Sequence[int] | Scores,
    validation: Sequence[Example],
    label_smoothing: float = 0.0,
) -> Trainer:
    """Train `net` as `config` says and return its trainer; rank and device are transformers'."""
    tokenizer.model_max_length = min(config.max_length, net.config.max_position_embeddings)
    steps = total_steps(len(texts), config)
    warmup = clamped_warmup(config.warmup_steps, steps)
    if warmup < config.warmup_steps:
        log.info("warm-up clamped from %d to %d of %d steps", config.warmup_steps, warmup, steps)
    held_out = [
        {**row, "label": LABELS.index(example.label)}
        for row, example in zip(
            encode([example.text for example in validation], tokenizer), validation, strict=True
        )
    ]
    trainer = ClassifierTrainer(
        model=net,
        args=TrainingArguments(
            output_dir=str(config.out / "checkpoints"),
            num_train_epochs=config.epochs,
            per_device_train_batch_size=config.batch_size,
            per_device_eval_batch_size=64,
            learning_rate=config.learning_rate,
            warmup_steps=warmup,
            weight_decay=config.weight_decay,
            # One pass over the weights a step instead of several.
            optim="adamw_torch_fused",
            label_smoothing_factor=label_smoothing,
            logging_steps=config.logging_steps,
            eval_strategy="epoch",
            save_strategy="epoch",
            save_total_limit=2,
            load_best_model_at_end=not config.average_last,
            metric_for_best_model="macro_f1",
            seed=config.seed,
            report_to=[],
            remove_unused_columns=False,
            dataloader_pin_memory=torch.cuda.is_available(),
        ),
        train_dataset=AugmentedRows(texts, targets, tokenizer, config.augment, config.seed),
        eval_dataset=held_out,
        processing_class=tokenizer,
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=_validation_metrics,
        callbacks=[AverageLast(config.average_last)] if config.average_last else [],
    )
    trainer.training_collator = TokenDropoutCollator(tokenizer, config.token_dropout, config.seed)
    trainer.train()
    return trainer


def total_steps(rows: int, config: RunConfig) -> int:
    """Return the optimiser steps of the whole run on one device."""
    return int(-(-rows // config.batch_size) * config.epochs)


def clamped_warmup(asked: int, steps: int) -> int:
    """Return the warm-up: as asked, but at most a fifth of all steps."""
    return min(asked, steps // 5)


def encode(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[dict[str, Any]]:
    """Return one {input_ids, attention_mask} a text, cut at the tokenizer's length."""
    encoded = tokenizer(list(texts), truncation=True)
    return [{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in encoded["input_ids"]]


def _validation_metrics(prediction: EvalPrediction) -> dict[str, float]:
    logits = np.asarray(prediction.predictions)
    report = measure(softmax(logits), np.asarray(prediction.label_ids))
    return {"accuracy": report["accuracy"], "macro_f1": report["macro_f1"]}


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
    """Training rows that every pass over them perturbs and tokenises anew.

    A target is a label's index, or the scores [labels] that a teacher gave. Row i of the n-th pass
    depends on the seed, n and i only, so a run can be repeated.
    """

    def __init__(
        self,
        texts: Sequence[str],
        targets: Sequence[int] | Scores,
        tokenizer: PreTrainedTokenizerBase,
        rate: float,
        seed: int,
    ) -> None:
        self.texts = texts
        self.targets = targets
        self.tokenizer = tokenizer
        self.rate = rate
        self.seed = seed
        self.passes = 0
        self.rows: list[dict[str, Any]] = []

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**self.rows[index], "label": self.targets[index]}

    def begin_pass(self) -> list[int]:
        """Write the rows of the next pass and return how many tokens each has."""
        written = [
            augment(text, random.Random(f"{self.seed} {self.passes} {index}"), self.rate)
            for index, text in enumerate(self.texts)
        ]
        self.passes += 1
        self.rows = encode(written, self.tokenizer)
        return [len(row["input_ids"]) for row in self.rows]


class ByLength(Sampler[int]):
    """Begins a pass and yields its rows so that those of like length ride in one batch.

    transformers' own grouping takes the lengths once and for all: where rows are augmented anew,
    a fifth of the tokens in its batches is padding.
    """

    def __init__(self, rows: AugmentedRows, batch_size: int) -> None:
        self.rows = rows
        self.batch_size = batch_size

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[int]:
        # The same order on every rank: each takes its share of the batches.
        generator = torch.Generator().manual_seed(self.rows.seed + self.rows.passes)
        lengths = self.rows.begin_pass()
        grouped = get_length_grouped_indices(lengths, self.batch_size, generator=generator)
        return iter(grouped)


class AverageLast(TrainerCallback):  # type: ignore[misc]  # untyped base class
    """Leaves the model with the mean of its weights over the last share of the steps."""

    EVERY = 10
    """Steps between two samples: neighbours hardly differ, and a sample costs a pass over them."""

    def __init__(self, share: float) -> None:
        self.share = share
        self.average: AveragedModel | None = None

    def on_step_end(self, _: Any, state: Any, __: Any, model: nn.Module, **___: Any) -> None:
        first = state.max_steps * (1 - self.share)
        last = state.global_step == state.max_steps
        if last or (state.global_step >= first and state.global_step % self.EVERY == 0):
            if self.average is None:
                self.average = AveragedModel(model)
            self.average.update_parameters(model)

    def on_train_end(self, _: Any, __: Any, ___: Any, model: nn.Module, **____: Any) -> None:
        if self.average is not None:
            model.load_state_dict(self.average.module.state_dict())


class ClassifierTrainer(Trainer):  # type: ignore[misc]  # untyped base class
    """Trainer with token dropout in training batches only, groups by length, and soft targets."""

    data_collator: DataCollatorWithPadding
    training_collator: DataCollatorWithPadding

    def get_train_dataloader(self) -> Any:
        plain, self.data_collator = self.data_collator, self.training_collator
        try:
            return super().get_train_dataloader()
        finally:
            self.data_collator = plain

    def _get_train_sampler(self, train_dataset: Any = None) -> ByLength:
        return ByLength(train_dataset or self.train_dataset, self.args.train_batch_size)

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, **rest: Any
    ) -> Any:
        if not torch.is_floating_point(inputs["labels"]):
            return super().compute_loss(model, inputs, return_outputs, **rest)
        outputs = model(inputs["input_ids"], inputs["attention_mask"])
        loss = nn.functional.cross_entropy(outputs.logits, inputs["labels"])
        return (loss, outputs) if return_outputs else loss
