"""Bundles that are not what they should be: each is refused with BundleError, and told apart."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.bundle import MANIFEST, MODEL, check_golden, read_bundle
from stream.errors import BundleError
from tests.fuzz import seeds

Changed = dict[str, Any]


def write(directory: Path, change: Callable[[Changed], object] = lambda manifest: None) -> Path:
    """Write a bundle that verifies, but for what `change` does to its manifest."""
    manifest = json.loads(seeds.MANIFEST_BYTES)
    change(manifest)
    (directory / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    for name, content in seeds.FILES.items():
        (directory / name).write_bytes(content or b"")
    return directory


def test_a_bundle_verifies(tmp_path: Path) -> None:
    """What the manifest says is what is read."""
    assert seeds.FILES[MODEL] == read_bundle(write(tmp_path)).model


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m["files"].update({"a\x00b": ""}), "is no name of a file"),
        (lambda m: m["files"].update({"../x": ""}), "points outside"),
        (lambda m: m["files"].update({"": ""}), "directory"),
        (lambda m: m["thresholds"].update({"욕설": 0.0}), "over 0 and up to 1"),
        (lambda m: m["thresholds"].update({"욕설": float("nan")}), "over 0 and up to 1"),
        (lambda m: m["golden"][1]["scores"].pop(), "golden.1.scores"),
        (lambda m: m["golden"][1]["scores"].append(0.1), "golden.1.scores"),
        (lambda m: m["golden"][0].update({"scores": [float("nan"), 0, 0]}), "golden.0.scores.0"),
        (lambda m: m["golden"][0].update({"scores": [0, 1e308, 0]}), "golden.0.scores.1"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused(
    tmp_path: Path, change: Callable[[Changed], object], reason: str
) -> None:
    """Names, thresholds and golden scores that would fail later are a BundleError on reading."""
    with pytest.raises(BundleError, match=reason):
        read_bundle(write(tmp_path, change))


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    """A file that is a link to itself is a BundleError that names it."""
    write(tmp_path)
    (tmp_path / MODEL).unlink()
    (tmp_path / MODEL).symlink_to(MODEL)

    with pytest.raises(BundleError, match=r"model\.onnx"):
        read_bundle(tmp_path)


@pytest.mark.parametrize("wrong", [0.5, float("nan"), float("inf")])
def test_a_golden_score_that_is_off_is_refused(tmp_path: Path, wrong: float) -> None:
    """One score of all that is far off, or no number, refuses the bundle."""
    manifest = read_bundle(write(tmp_path)).manifest
    scores = np.array([golden.scores for golden in manifest.golden], np.float32)
    check_golden(manifest, scores)
    scores[1, 2] = wrong

    with pytest.raises(BundleError, match="a golden score is off"):
        check_golden(manifest, scores)
