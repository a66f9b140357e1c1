"""The settings of one fine-tuning run: parsed from flags, recorded verbatim in training.json."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Pooling = Literal["cls", "mean"]

KCBERT = "beomi/kcbert-base"


class FitConfig(BaseModel):
    """Fine-tune a base model into 정상 / 욕설 / 성희롱."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Path = Field(
        description="Labelled text with columns text,label: a directory with train, validation "
        "and (optional) test as .csv or .tsv, or one file, which is split 80/10/10."
    )
    out: Path = Field(description="The run's directory; made anew, must not hold a run yet.")
    base_model: str = Field(KCBERT, description="A hub name or a local transformers directory.")
    epochs: float = Field(3, gt=0, description="Passes over the training rows.")
    batch_size: int = Field(16, gt=0, description="Rows per step and device.")
    learning_rate: float = Field(
        2e-5, gt=0, description="Peak rate. 2e-5 suits 12 x 768; a 12 x 384 takes 1e-4 to 2e-4."
    )
    warmup_steps: int = Field(
        500, ge=0, description="Steps to the peak rate; at most a fifth of all steps are used."
    )
    weight_decay: float = Field(0.01, ge=0, description="AdamW's decay.")
    max_length: int = Field(128, ge=8, description="Tokens read of a text; the rest is cut.")
    pooling: Pooling | None = Field(
        None,
        description="cls ([CLS] and pooler, KcBERT) or mean (sentence encoders such as e5); "
        "unset keeps the base model's own, else cls.",
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Keeps scores off the ceiling, so that thresholds can bite."
    )
    token_dropout: float = Field(
        0.0, ge=0, lt=1, description="Share of training tokens replaced by the unknown token."
    )
    augment: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of training rows that each pass perturbs (spacing, fillers, hidden "
        "swear words, misheard syllables; see train/augment.py).",
    )
    average_last: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the steps, the last ones, whose weights are averaged; 0 keeps the "
        "epoch with the best macro F1 instead.",
    )
    seed: int = Field(20, description="Seeds the split, the head and the order of rows.")
    logging_steps: int = Field(100, gt=0, description="Steps between two lines of the loss.")
    false_alarm_budget: float = Field(
        0.01, gt=0, lt=1, description="Share of 정상 validation texts that may be flagged."
    )
