"""The bundle: the directory that the exporter writes and the worker loads, verified file by file.

    manifest.json    what the model is and how it must be used
    model.onnx       the graph with its weights, one file
    tokenizer.json   the tokenizer
    report.json      the figures of the run; report.md and pictures/ show them

Every file is read once and hashed as read, so what was verified is what is used.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stream.errors import BundleError
from stream.schema import FLAGGED_LABELS, LABELS, ModelIdentity
from stream.text import NORMALISER_VERSION

MANIFEST: Final = "manifest.json"
MODEL: Final = "model.onnx"
TOKENIZER: Final = "tokenizer.json"

Precision = Literal["fp32", "fp16", "int8"]


class Golden(BaseModel):
    """A text and the scores that the exporter saw for it, in the order of the labels."""

    model_config = ConfigDict(frozen=True)

    text: str
    scores: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(
        min_length=len(LABELS), max_length=len(LABELS)
    )


class Manifest(BaseModel):
    """What `manifest.json` says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    name: str
    version: str
    base_model: str
    labels: tuple[str, ...]
    max_length: int = Field(ge=8, le=512)
    normaliser_version: str
    thresholds: dict[str, float]
    precision: Precision
    opset: int
    files: dict[str, str] = Field(description="sha256 of every other file, by its path in here.")
    golden: tuple[Golden, ...] = Field(min_length=1)
    golden_tolerance: float = Field(
        gt=0, lt=0.5, description="How far a score may be off on another machine."
    )
    metrics: dict[str, Any] = {}
    training: dict[str, Any] = {}

    def identity(self) -> ModelIdentity:
        return ModelIdentity(name=self.name, version=self.version, sha256=self.files[MODEL])


@dataclass(frozen=True)
class Bundle:
    """A verified bundle in memory."""

    manifest: Manifest
    model: bytes
    tokenizer: bytes


def read_bundle(directory: Path) -> Bundle:
    """Read and verify the bundle in `directory`; raise BundleError that names what is wrong.

    Verified here: the manifest's form, labels and normaliser, and every file's hash. The golden
    scores need the classifier: see `check_golden`.
    """
    if not directory.is_dir():
        raise BundleError(f"{directory}: no such directory; name a bundle, e.g. models/kcguard")
    try:
        manifest = Manifest.model_validate_json(_read(directory, MANIFEST))
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        reasons = "; ".join(f"{'.'.join(map(str, d['loc']))}: {d['msg']}" for d in details)
        raise BundleError(f"{directory}: {MANIFEST}: {reasons}") from None
    if manifest.labels != LABELS:
        raise BundleError(f"{directory}: labels {list(manifest.labels)}, not {list(LABELS)}")
    if set(manifest.thresholds) != set(FLAGGED_LABELS):
        raise BundleError(f"{directory}: thresholds must name exactly {list(FLAGGED_LABELS)}")
    if not all(0 < threshold <= 1 for threshold in manifest.thresholds.values()):
        raise BundleError(f"{directory}: thresholds must be over 0 and up to 1")
    if manifest.normaliser_version != NORMALISER_VERSION:
        raise BundleError(
            f"{directory}: trained with normaliser {manifest.normaliser_version}, this worker has "
            f"{NORMALISER_VERSION}; export the model anew with this version of kcguard"
        )
    for name in (MODEL, TOKENIZER):
        if name not in manifest.files:
            raise BundleError(f"{directory}: {MANIFEST} has no hash of {name}")
    contents = {name: _read(directory, name) for name in manifest.files}
    for name, content in contents.items():
        if hashlib.sha256(content).hexdigest() != manifest.files[name]:
            raise BundleError(f"{directory}: {name} does not have the sha256 of {MANIFEST}")
    return Bundle(manifest, contents[MODEL], contents[TOKENIZER])


def _read(directory: Path, name: str) -> bytes:
    path = directory / name
    try:
        if not path.resolve().is_relative_to(directory.resolve()):
            raise BundleError(f"{directory}: {name} points outside of the bundle")
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{directory}: {name}: {error.strerror}") from None
    except (ValueError, RuntimeError):
        # pathlib's words for a NUL in the name and for links in a circle.
        raise BundleError(f"{directory}: {name!r} is no name of a file") from None


def check_golden(manifest: Manifest, scores: npt.NDArray[np.float32]) -> None:
    """Raise BundleError unless `scores` [golden texts, labels] are what the exporter saw."""
    expected = np.array([golden.scores for golden in manifest.golden], dtype=np.float32)
    worst = float(np.abs(expected - scores).max(initial=0.0))
    # Not "worst > tolerance": that is false of a score that is no number.
    if not worst <= manifest.golden_tolerance:
        raise BundleError(
            f"{manifest.name} {manifest.version}: a golden score is off by {worst:.4f} on this "
            f"machine, more than {manifest.golden_tolerance}"
        )


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write `manifest` as the `manifest.json` of `directory`."""
    text = json.dumps(manifest.model_dump(mode="json"), ensure_ascii=False, indent=2)
    (directory / MANIFEST).write_text(text + "\n", encoding="utf-8")


def file_hashes(directory: Path) -> Mapping[str, str]:
    """Return the sha256 of every file under `directory` but the manifest, by its path in there."""
    files = {path.relative_to(directory).as_posix(): path for path in directory.rglob("*")}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in sorted(files.items())
        if path.is_file() and name != MANIFEST
    }
