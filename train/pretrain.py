"""Masked-language-model training: a new encoder from scratch, or a given one on one's own text."""

import gzip
import logging
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from tokenizers.implementations import BertWordPieceTokenizer
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertTokenizerFast,
    DataCollatorForLanguageModeling,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_utils import get_last_checkpoint

from stream.text import normalise
from train import corpora, model, training
from train.config import PretrainConfig
from train.errors import DataError
from train.mixture import rank

log = logging.getLogger(__name__)


def pretrain(config: PretrainConfig) -> None:
    """Run the whole of it; `config.out` is then a base model that `fit` takes.

    An interrupted run goes on from its last checkpoint when it is started again with the same
    settings; other settings need another `config.out`.
    """
    set_seed(config.seed)
    texts = collect(config)
    log.info("%d texts", len(texts))
    net, tokenizer = _continued(config) if config.base_model else _from_scratch(config, texts)
    tokenizer.model_max_length = min(config.max_length, net.config.max_position_embeddings)
    if tokenizer.mask_token is None:
        # A base cut out of another (see base.py) may lack a mask; the unknown token serves.
        tokenizer.mask_token = tokenizer.unk_token
    checkpoints = config.out / "checkpoints"
    trainer = Trainer(
        model=net,
        args=TrainingArguments(
            output_dir=str(checkpoints),
            num_train_epochs=config.epochs,
            per_device_train_batch_size=config.batch_size,
            learning_rate=config.learning_rate,
            warmup_ratio=0.05,
            weight_decay=0.01,
            optim="adamw_torch_fused",
            bf16=bf16_helps() if config.bf16 is None else config.bf16,
            logging_steps=50,
            save_steps=config.save_steps,
            save_total_limit=1,
            group_by_length=True,
            include_num_input_tokens_seen=True,
            seed=config.seed,
            report_to=[],
            dataloader_pin_memory=torch.cuda.is_available(),
        ),
        train_dataset=training.encode(texts, tokenizer),
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm_probability=config.masked),
        callbacks=[TokensPerSecond()],
    )
    last = get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None
    if last:
        log.info("going on from %s", Path(last).name)
    trainer.train(resume_from_checkpoint=last)
    if trainer.is_world_process_zero():
        trainer.save_model(str(config.out))
        tokenizer.save_pretrained(str(config.out))
        log.info("%s: a base model for `fit --base-model`", config.out)


def collect(config: PretrainConfig) -> list[str]:
    """Return the normalised texts, each once, in an order that depends on nothing but them.

    Raises DataError where there is nothing to read or a file is not UTF-8.
    """
    sources: list[Iterator[str]] = [_lines(path) for path in config.text]
    if config.corpora is not None:
        sources += [corpora.texts(source, config.corpora) for source in corpora.SOURCES.values()]
    texts = dict.fromkeys(normalise(text) for text in chain.from_iterable(sources))
    texts.pop("", None)
    if not texts:
        raise DataError("no text to train on: give --text FILE or --corpora DIR")
    return sorted(texts, key=rank)[: config.limit]


def _lines(path: Path) -> Iterator[str]:
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            yield from file
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start})") from None


def _continued(config: PretrainConfig) -> tuple[BertForMaskedLM, PreTrainedTokenizerBase]:
    """Load the base: its encoder as it is, its masked-language head where it has one."""
    assert config.base_model is not None
    with model.remedy(config.base_model):
        shape = model.bert_config(config.base_model)
        tokenizer = AutoTokenizer.from_pretrained(config.base_model)
        return BertForMaskedLM.from_pretrained(config.base_model, config=shape), tokenizer


def _from_scratch(
    config: PretrainConfig, texts: Sequence[str]
) -> tuple[BertForMaskedLM, PreTrainedTokenizerBase]:
    """Make a WordPiece vocabulary of the texts (KcBERT's kind) and random weights."""
    pieces = BertWordPieceTokenizer(lowercase=False, strip_accents=False)
    pieces.train_from_iterator(texts, config.vocabulary, min_frequency=2, show_progress=False)
    config.out.mkdir(parents=True, exist_ok=True)
    pieces.save_model(str(config.out))
    tokenizer = BertTokenizerFast(
        vocab_file=str(config.out / "vocab.txt"), do_lower_case=False, strip_accents=False
    )
    shape = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=config.hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=max(1, config.hidden // 64),
        intermediate_size=4 * config.hidden,
        max_position_embeddings=max(config.max_length, 128),
        pad_token_id=tokenizer.pad_token_id,
    )
    return BertForMaskedLM(shape), tokenizer


def bf16_helps(size: int = 512, rounds: int = 8) -> bool:
    """Return whether a bfloat16 matrix product is faster here than a float32 one.

    A CPU without instructions for it emulates it: a training step on AVX2 took twelve times as
    long.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"

    def seconds(dtype: torch.dtype) -> float:
        left = torch.ones(size, size, dtype=dtype, device=device)
        _ = left @ left
        start = time.perf_counter()
        for _ in range(rounds):
            product = left @ left
        # Reading one value waits for the device.
        float(product[0, 0])
        return time.perf_counter() - start

    return seconds(torch.bfloat16) < 0.8 * seconds(torch.float32)


class TokensPerSecond(TrainerCallback):  # type: ignore[misc]  # untyped base class
    """Adds the speed since the last line to each line of the log."""

    def __init__(self) -> None:
        self.since: tuple[float, float] | None = None

    def on_log(self, _: Any, state: Any, __: Any, logs: dict[str, Any], **___: Any) -> None:
        now, tokens = time.perf_counter(), float(state.num_input_tokens_seen)
        if self.since and now > self.since[0]:
            speed = (tokens - self.since[1]) / (now - self.since[0])
            logs["tokens_per_second"] = round(speed)
        self.since = now, tokens
