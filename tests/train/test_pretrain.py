"""Masked-language-model training on a few lines: from scratch, further, and after a cut."""

import gzip
from pathlib import Path

import pytest
from transformers import AutoTokenizer, BertForMaskedLM

from tests import tiny
from train import model
from train.config import PretrainConfig
from train.errors import BaseModelError, DataError
from train.pretrain import TokensPerSecond, collect, pretrain

# Transformers sorts checkpoints by age; steps of a millisecond leave none.
pytestmark = pytest.mark.filterwarnings("ignore:mtime may not be reliable")


def write_text(path: Path) -> Path:
    """Write unlabelled text, one a line."""
    path.write_text("\n".join(text for text, _ in tiny.rows()) + "\n\n", encoding="utf-8")
    return path


def config(tmp_path: Path, **changes: object) -> PretrainConfig:
    """Return the settings of a run of seconds."""
    return PretrainConfig.model_validate(
        {
            "text": [write_text(tmp_path / "text.txt")],
            "out": tmp_path / "out",
            "hidden": 32,
            "layers": 1,
            "vocabulary": 200,
            "batch_size": 16,
            "save_steps": 2,
            "bf16": False,
            **changes,
        }
    )


def test_a_new_encoder_becomes_a_base_model(tmp_path: Path) -> None:
    """What is trained from scratch loads as a base for fine-tuning, with its own vocabulary."""
    pretrain(config(tmp_path))
    net, tokenizer = model.load(str(tmp_path / "out"))
    assert (32, 1) == (net.config.hidden_size, net.config.num_hidden_layers)
    assert tokenizer.unk_token_id not in tokenizer("배송 문의 드려요")["input_ids"]


def test_a_given_base_is_trained_further(tmp_path: Path) -> None:
    """A base that is continued keeps its vocabulary and shape, and its weights move."""
    base = tiny.write_base(tmp_path / "base")
    pretrain(config(tmp_path, base_model=str(base)))
    before, after = (BertForMaskedLM.from_pretrained(path) for path in (base, tmp_path / "out"))
    name = "bert.encoder.layer.0.output.dense.weight"
    assert before.config.vocab_size == after.config.vocab_size
    assert not before.state_dict()[name].equal(after.state_dict()[name])
    old, new = (AutoTokenizer.from_pretrained(path) for path in (base, tmp_path / "out"))
    assert old.get_vocab() == new.get_vocab()


def test_an_interrupted_run_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A run whose directory holds a checkpoint starts there and not at the first step."""
    pretrain(config(tmp_path, epochs=1))
    with caplog.at_level("INFO"):
        pretrain(config(tmp_path, epochs=2))
    assert "going on from checkpoint-" in caplog.text
    assert [10] == [
        int(path.name.removeprefix("checkpoint-"))
        for path in (tmp_path / "out/checkpoints").glob("checkpoint-*")
    ]


def test_texts_are_normalised_and_unique(tmp_path: Path) -> None:
    """Plain and compressed files are read; repeats, empty lines and the rest over a limit go."""
    plain, packed = tmp_path / "a.txt", tmp_path / "b.txt.gz"
    plain.write_text("하나\n둘  셋\n\n하나\n", encoding="utf-8")
    with gzip.open(packed, "wt", encoding="utf-8") as file:
        file.write("넷😀\n")
    both = config(tmp_path, text=[plain, packed])
    assert {"하나", "둘 셋", "넷"} == set(collect(both))
    assert 2 == len(collect(both.model_copy(update={"limit": 2})))


def test_no_text_is_refused(tmp_path: Path) -> None:
    """Without a text file, with a missing one, or with another encoding the remedy is named."""
    with pytest.raises(DataError, match="no text to train on: give --text FILE"):
        collect(config(tmp_path, text=[]))
    with pytest.raises(DataError, match=r"none\.txt: No such file"):
        collect(config(tmp_path, text=[tmp_path / "none.txt"]))
    (tmp_path / "latin.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"latin\.txt: not UTF-8"):
        collect(config(tmp_path, text=[tmp_path / "latin.txt"]))


def test_a_missing_base_is_named(tmp_path: Path) -> None:
    """A base directory that is not there ends with one line."""
    with pytest.raises(BaseModelError, match="no directory /nowhere"):
        pretrain(config(tmp_path, base_model="/nowhere"))


def test_the_log_states_the_speed() -> None:
    """From the second line on the log says how many tokens a second were read."""
    speed, state = TokensPerSecond(), type("State", (), {"num_input_tokens_seen": 0})()
    first: dict[str, float] = {}
    second: dict[str, float] = {}
    speed.on_log(None, state, None, logs=first)
    state.num_input_tokens_seen = 500
    speed.on_log(None, state, None, logs=second)
    assert {} == first
    assert second["tokens_per_second"] > 0
