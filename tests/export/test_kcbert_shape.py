"""The whole path on a model of KcBERT-base's exact shape: fit, three precisions, verify, score."""

import json
from pathlib import Path

import pytest
from tokenizers.implementations import BertWordPieceTokenizer
from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast

from export.build import build
from stream.bundle import Precision, read_bundle
from stream.classifier import Classifier
from stream.schema import LABELS
from tests import tiny
from train.config import FitConfig
from train.fit import fit

VOCABULARY = 30_000
KCBERT_BASE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 300,
    "type_vocab_size": 2,
    "pad_token_id": 0,
}
"""config.json of beomi/kcbert-base, but for names that mean nothing to BertModel."""


def write_kcbert(directory: Path) -> Path:
    """Write random weights of KcBERT's shape as the hub has them: with its masked-language head.

    The WordPiece vocabulary is made of the corpus and filled up, as BERT's own is, with unused
    pieces.
    """
    directory.mkdir()
    wordpiece = BertWordPieceTokenizer(lowercase=False, strip_accents=False)
    wordpiece.train_from_iterator(
        [text for text, _ in tiny.rows()],
        vocab_size=VOCABULARY,
        min_frequency=1,
        show_progress=False,
    )
    wordpiece.save_model(str(directory))
    vocabulary = directory / "vocab.txt"
    pieces = vocabulary.read_text(encoding="utf-8").splitlines()
    pieces += [f"[unused{n}]" for n in range(VOCABULARY - len(pieces))]
    vocabulary.write_text("\n".join(pieces) + "\n", encoding="utf-8")
    BertTokenizerFast(
        vocab_file=str(vocabulary), do_lower_case=False, model_max_length=300
    ).save_pretrained(directory)
    BertForMaskedLM(BertConfig(**KCBERT_BASE)).save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def kcbert_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fine-tune the whole 12 x 768 for a few steps, with the default pooling and head."""
    directory = tmp_path_factory.mktemp("kcbert")
    config = FitConfig(
        data=tiny.write_data(directory / "data"),
        out=directory / "run",
        base_model=str(write_kcbert(directory / "base")),
        epochs=1,
        batch_size=16,
        warmup_steps=0,
    )
    fit(config)
    return config.out


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_kcbert_goes_the_whole_way(kcbert_run: Path, tmp_path: Path, precision: Precision) -> None:
    """A bundle of each precision passes the exporter's gate, verifies and scores a text."""
    out = tmp_path / "models/kcbert"
    build(kcbert_run, out, precision, base_model="beomi/kcbert-base")
    bundle = read_bundle(out)
    classifier = Classifier(bundle)
    try:
        classifier.verify()
        scores = classifier.score(["결제일을 바꾸고 싶어요"]).scores
    finally:
        classifier.close()
    assert (1, len(LABELS)) == scores.shape
    assert pytest.approx(1.0, abs=1e-5) == float(scores.sum())
    assert "beomi/kcbert-base" == bundle.manifest.base_model
    training = json.loads((kcbert_run / "training.json").read_text(encoding="utf-8"))
    assert training["labels"] == list(bundle.manifest.labels)
