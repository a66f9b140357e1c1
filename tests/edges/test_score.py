"""`python -m stream score` on the shipped bundle."""

import json
from pathlib import Path

import pytest

from stream.__main__ import main
from stream.bundle import read_bundle
from stream.classifier import Classifier
from stream.deobfuscate import deobfuscate
from stream.policy import decide, decide_views

SHIPPED = Path(__file__).parents[2] / "models" / "kcguard"
TEXTS = ["배송 언제 되나요", "시.부.랄 청구서가 이게 뭐야", "시발역이 어디예요"]


def scored(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, object]]:
    assert 0 == main(["score", *arguments, "--bundle", str(SHIPPED)])
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_texts_are_judged_by_both_views_unless_told_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`score` prints the verdict that `run` would reach, and the plain text's on request."""
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(TEXTS), encoding="utf-8")
    bundle = read_bundle(SHIPPED)
    plain = Classifier(bundle).score(TEXTS).scores
    second = Classifier(bundle).score([deobfuscate(text) for text in TEXTS]).scores
    thresholds = bundle.manifest.thresholds
    both = [decide_views(views, thresholds) for views in zip(plain, second, strict=True)]
    one = [decide(scores, thresholds) for scores in plain]

    assert [verdict.label for verdict in both] == [x["label"] for x in scored(capsys, str(file))]
    assert [round(verdict.score, 6) for verdict in one] == [
        x["score"] for x in scored(capsys, str(file), "--no-second-view")
    ]
