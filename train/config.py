"""The settings of one fine-tuning run: parsed from flags, recorded verbatim in training.json."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Pooling = Literal["cls", "mean"]

KCBERT = "beomi/kcbert-base"


class RunConfig(BaseModel):
    """What every training run of a classifier is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Path = Field(
        description="Labelled text with columns text,label: a directory with train, validation "
        "and (optional) test as .csv or .tsv, or one file, which is split 80/10/10."
    )
    out: Path = Field(description="The run's directory; made anew, must not hold a run yet.")
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


class FitConfig(RunConfig):
    """Fine-tune a base model into 정상 / 욕설 / 성희롱."""

    base_model: str = Field(KCBERT, description="A hub name or a local transformers directory.")
    pooling: Pooling | None = Field(
        None,
        description="cls ([CLS] and pooler, KcBERT) or mean (sentence encoders such as e5); "
        "unset keeps the base model's own, else cls.",
    )
    dropout: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="Dropout inside the encoder; unset keeps the base model's (0.1). Lower it "
        "where the training loss stays as high as the validation loss.",
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Keeps scores off the ceiling, so that thresholds can bite."
    )


class DistillConfig(RunConfig):
    """Teach a small student the scores of a teacher, over labelled and unlabelled text."""

    teacher: list[Path] = Field(
        min_length=1, description="Runs of `fit`; the scores of several are averaged."
    )
    corpora: Path | None = Field(
        None, description="Public corpora whose text the teacher scores for the student."
    )
    unlabelled: int = Field(30_000, ge=0, description="Rows of it, spread over the sources.")
    layers: int = Field(
        4, gt=0, description="Layers of the student, taken from the first teacher, evenly spread."
    )
    gold: float = Field(
        0.3, ge=0, le=1, description="Weight of a labelled row's own label against the teacher's."
    )


class PretrainConfig(BaseModel):
    """Train a masked-language model on unlabelled text: from scratch, or a given base further."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: list[Path] = Field(
        default_factory=list,
        description="Files of one text a line (.txt or .txt.gz): your own transcripts.",
    )
    corpora: Path | None = Field(None, description="Public corpora, used as plain text as well.")
    limit: int | None = Field(None, gt=0, description="Texts to use, chosen by hash; unset: all.")
    out: Path = Field(
        description="The directory to write; `fit --base-model` takes it. An unfinished one is "
        "taken up where its last checkpoint stands."
    )
    base_model: str | None = Field(
        None, description="A hub name or directory to continue from; unset: start from scratch."
    )
    hidden: int = Field(256, gt=0, description="From scratch: width; heads are a 64th of it.")
    layers: int = Field(4, gt=0, description="From scratch: layers.")
    vocabulary: int = Field(8_000, ge=100, description="From scratch: WordPiece pieces.")
    max_length: int = Field(128, ge=8, description="Tokens read of a text; the rest is cut.")
    epochs: float = Field(1, gt=0, description="Passes over the texts.")
    batch_size: int = Field(32, gt=0, description="Texts per step and device.")
    learning_rate: float = Field(2e-4, gt=0, description="Peak rate; 5e-5 to go on with a base.")
    masked: float = Field(0.15, gt=0, lt=1, description="Share of the tokens to be guessed.")
    save_steps: int = Field(500, gt=0, description="Steps between two checkpoints.")
    seed: int = Field(20, description="Seeds the masks, the order and new weights.")
    bf16: bool | None = Field(
        None, description="Autocast to bfloat16; unset: if a matrix product here is faster so."
    )
