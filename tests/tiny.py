"""A BERT in KcBERT's shape, small enough to be trained and exported in a test, and text for it."""

import itertools
import warnings
from pathlib import Path
from typing import Any

import torch
from tokenizers.implementations import BertWordPieceTokenizer
from transformers import BertConfig, BertModel, BertTokenizerFast

from stream.schema import ABUSE, NORMAL, SEXUAL_HARASSMENT
from train.config import DistillConfig, FitConfig
from train.fit import fit

LAYERS = 2

_PARTS = {
    NORMAL: (
        ("배송", "환불", "요금", "인터넷", "카드"),
        ("문의 드려요", "언제 되나요", "확인해 주세요", "감사합니다", "바꾸고 싶어요"),
    ),
    ABUSE: (
        ("씨발", "미친놈아", "개새끼야", "병신아", "닥쳐"),
        ("빨리 보내라", "전화 끊어", "일 똑바로 해", "뭐 하는 거야", "꺼져 버려"),
    ),
    SEXUAL_HARASSMENT: (
        ("가슴", "몸매", "다리", "엉덩이", "속옷"),
        ("만져도 돼", "보여 줘", "예쁘네", "궁금해", "사진 보내 봐"),
    ),
}


def rows(count: int = 25) -> list[tuple[str, str]]:
    """Return `count` different (text, label) of each label, at most 25."""
    return [
        (" ".join(words), label)
        for label, parts in _PARTS.items()
        for words in itertools.islice(itertools.product(*parts), count)
    ]


def write_rows(path: Path, examples: list[tuple[str, str]]) -> Path:
    """Write labelled text as the trainer reads it (.tsv)."""
    lines = ["text\tlabel", *(f"{text}\t{label}" for text, label in examples)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_data(directory: Path) -> Path:
    """Write a data set of 60 training and 15 validation rows."""
    directory.mkdir(parents=True, exist_ok=True)
    everything = rows()
    write_rows(directory / "validation.tsv", everything[::5])
    write_rows(directory / "train.tsv", [row for i, row in enumerate(everything) if i % 5])
    return directory


def write_base(directory: Path, **changes: Any) -> Path:
    """Write a base model with random weights: KcBERT's configuration, 2 layers of 32."""
    directory.mkdir(parents=True, exist_ok=True)
    wordpiece = BertWordPieceTokenizer(lowercase=False, strip_accents=False)
    wordpiece.train_from_iterator(
        [text for text, _ in rows()], vocab_size=300, min_frequency=1, show_progress=False
    )
    wordpiece.save_model(str(directory))
    BertTokenizerFast(
        vocab_file=str(directory / "vocab.txt"), do_lower_case=False, model_max_length=300
    ).save_pretrained(directory)
    shape = {
        "vocab_size": wordpiece.get_vocab_size(),
        "hidden_size": 32,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 300,
        "pad_token_id": 0,
    }
    torch.manual_seed(1)
    BertModel(BertConfig(**{**shape, **changes})).save_pretrained(directory)
    return directory


def fit_config(directory: Path, **changes: Any) -> FitConfig:
    """Return the settings of a run that takes seconds and learns the lines."""
    return FitConfig.model_validate(
        {
            "data": directory / "data",
            "out": directory / "run",
            "base_model": str(directory / "base"),
            "epochs": 10,
            "batch_size": 8,
            "learning_rate": 3e-3,
            "max_length": 32,
            **changes,
        }
    )


def distill_config(directory: Path, teacher: Path, **changes: Any) -> DistillConfig:
    """Return the settings of a distillation that takes seconds; its data lies in `directory`."""
    return DistillConfig.model_validate(
        {
            "teacher": [teacher],
            "data": write_data(directory / "data"),
            "out": directory / "student",
            "layers": 1,
            "epochs": 2,
            "batch_size": 8,
            "learning_rate": 3e-3,
            "max_length": 32,
            "unlabelled": 0,
            **changes,
        }
    )


def train_run(directory: Path, **changes: Any) -> Path:
    """Make data and base under `directory`, fine-tune, and return the run's directory."""
    write_data(directory / "data")
    write_base(directory / "base")
    config = fit_config(directory, **changes)
    with warnings.catch_warnings():
        # Transformers sorts checkpoints by age; epochs of a tenth of a second have none.
        warnings.filterwarnings("ignore", "mtime may not be reliable")
        fit(config)
    return config.out
