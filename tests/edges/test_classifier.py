"""The classifier on a tiny encoder with random weights, and the shipped bundle on its promises."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from export.build import build
from stream.__main__ import main
from stream.bundle import Bundle, Manifest, check_golden, read_bundle
from stream.classifier import Classifier
from stream.errors import BundleError, ConfigurationError
from stream.policy import decide
from tests import tiny

SHIPPED = Path(__file__).parents[2] / "models" / "kcguard"
MINI = SHIPPED.with_name("kcguard-mini")

TEXTS = [
    "네",
    "배송 문의 드려요 언제 되나요 확인해 주세요 감사합니다 바꾸고 싶어요",
    "씨발 빨리 보내라",
    "환불 언제 되나요",
    "",
    "가슴 만져도 돼",
    "😀",
]


@pytest.fixture(scope="session")
def fp32(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    directory = tmp_path_factory.mktemp("classifier")
    build(tiny.train_run(directory, epochs=1), directory / "bundle", "fp32")
    return read_bundle(directory / "bundle")


def test_neither_padding_nor_order_changes_a_score(fp32: Bundle) -> None:
    """Alone, in padded batches and in another order, a text keeps its fp32 score."""
    alone = Classifier(fp32).score(TEXTS).scores
    batched = Classifier(fp32, max_batch_rows=16, callers=1).score(TEXTS).scores
    backwards = Classifier(fp32, max_batch_rows=2, callers=3).score(TEXTS[::-1]).scores[::-1]

    np.testing.assert_allclose(batched, alone, atol=1e-5)
    np.testing.assert_allclose(backwards, alone, atol=1e-5)


def test_a_text_of_nothing_is_normal_without_the_model(fp32: Bundle) -> None:
    """What normalises to nothing scores 1 for 정상 and is marked as empty."""
    scored = Classifier(fp32).score(TEXTS)

    assert [False, False, False, False, True, False, True] == scored.empty.tolist()
    assert [1.0, 0.0, 0.0] == scored.scores[4].tolist()
    np.testing.assert_allclose(scored.scores.sum(axis=1), 1.0, atol=1e-6)


def test_no_texts_is_no_scores(fp32: Bundle) -> None:
    """A chunk in which nothing is judged asks the model nothing."""
    assert (0, 3) == Classifier(fp32).score([]).scores.shape


def test_long_texts_are_counted_as_truncated(fp32: Bundle) -> None:
    """A text over the model's length is cut, scored and counted."""
    scored = Classifier(fp32).score(["환불 " * 500, "네"])

    assert 1 == scored.truncated
    assert np.isfinite(scored.scores).all()


def test_a_device_that_is_not_there_stops(fp32: Bundle) -> None:
    """Cuda on a build without it is an error that names the remedy, never a silent CPU."""
    with pytest.raises(ConfigurationError, match=r"kcguard\[gpu\]"):
        Classifier(fp32, device="cuda")


def test_a_broken_model_or_tokenizer_names_the_file(fp32: Bundle) -> None:
    """What ONNX Runtime or tokenizers cannot load is a BundleError with the file's name."""
    with pytest.raises(BundleError, match=r"model\.onnx"):
        Classifier(replace(fp32, model=b"no model"))
    with pytest.raises(BundleError, match=r"tokenizer\.json"):
        Classifier(replace(fp32, tokenizer=b"{}"))


def test_golden_scores_that_differ_are_refused(fp32: Bundle) -> None:
    """A machine on which a golden score is off by more than the tolerance refuses the bundle."""
    manifest = fp32.manifest
    scores = np.array([golden.scores for golden in manifest.golden], np.float32)
    check_golden(manifest, scores)
    scores[0] += 2 * manifest.golden_tolerance

    with pytest.raises(BundleError, match="golden score is off by"):
        check_golden(manifest, scores)


@pytest.mark.parametrize("directory", [SHIPPED, MINI], ids=lambda path: path.name)
def test_the_shipped_bundles_verify(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Hashes, labels and golden scores of both bundles hold on this machine."""
    assert 0 == main(["verify", str(directory)])
    assert f"{directory}: {directory.name} " in capsys.readouterr().out


@pytest.mark.parametrize(("directory", "mib"), [(SHIPPED, 40), (MINI, 12)])
def test_the_shipped_models_are_small(directory: Path, mib: int) -> None:
    """The int8 files are at most 40 and 12 MiB."""
    assert "int8" == read_bundle(directory).manifest.precision
    assert (directory / "model.onnx").stat().st_size <= mib * 2**20


def test_the_shipped_model_decides_the_plain_cases() -> None:
    """The sentences that any user would try first are decided as a person would."""
    bundle = read_bundle(SHIPPED)
    expected = {
        "씨발 빨리 보내라": "욕설",
        "미친놈들 진짜 짜증나네": "욕설",
        "가슴 만져도 돼?": "성희롱",
        "예쁘네요, 남자친구 있어요?": "성희롱",
        "배송이 늦어서 불편합니다": "정상",
        "상담사님 친절하시네요": "정상",
        "제품이 예쁘다": "정상",
    }
    scores = Classifier(bundle).score(list(expected)).scores
    decided = [decide(row, bundle.manifest.thresholds).label for row in scores]

    assert list(expected.values()) == decided


def test_score_answers_line_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`score` writes one object a line, in the order of the lines, whatever their bytes."""
    file = tmp_path / "lines.txt"
    file.write_bytes("씨발 빨리 보내라\n\n".encode() + b"\xff\n" + "감사합니다".encode())

    assert 0 == main(["score", "--bundle", str(SHIPPED), str(file)])
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert ["씨발 빨리 보내라", "", "�", "감사합니다"] == [answer["text"] for answer in answers]
    assert ["abuse", "normal", "normal", "normal"] == [a["label_code"] for a in answers]
    assert {"text", "label", "label_code", "flagged", "score", "scores"} == set(answers[0])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ({"labels": ["a", "b", "c"]}, "labels"),
        ({"normaliser_version": "0"}, "normaliser 0"),
        ({"thresholds": {"욕설": 0.5}}, "thresholds"),
        ({"files": {}}, "no hash of model.onnx"),
        ({"golden": []}, "golden"),
        ({"precision": "int3"}, "precision"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    damage: dict[str, object], reason: str, tmp_path: Path
) -> None:
    """Labels, normaliser, thresholds, hashes, golden texts and precision are each checked."""
    manifest = json.loads((SHIPPED / "manifest.json").read_text(encoding="utf-8"))
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | damage), encoding="utf-8")

    with pytest.raises(BundleError, match=reason):
        read_bundle(tmp_path)


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    """A file whose hash is not the manifest's is named."""
    shutil.copytree(SHIPPED, tmp_path, dirs_exist_ok=True)
    (tmp_path / "tokenizer.json").write_bytes(b"{}")

    with pytest.raises(BundleError, match=r"tokenizer\.json does not have the sha256"):
        read_bundle(tmp_path)


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx", "report.json"])
def test_a_file_outside_of_the_bundle_is_refused(name: str, tmp_path: Path) -> None:
    """A link that leads out of the directory is not followed, not even to the very same file."""
    shutil.copytree(SHIPPED, tmp_path, dirs_exist_ok=True)
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to(SHIPPED / name)

    with pytest.raises(BundleError, match=f"{re.escape(name)} points outside"):
        read_bundle(tmp_path)


def test_weights_outside_of_the_bundle_are_refused(
    fp32: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph with weights in another file is refused, where ONNX Runtime itself would load it."""
    model = onnx.load_from_string(fp32.model)
    onnx.external_data_helper.convert_model_to_external_data(model, location="weights.bin")
    onnx.save(model, str(tmp_path / "model.onnx"))
    monkeypatch.chdir(tmp_path)
    content = (tmp_path / "model.onnx").read_bytes()

    ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    with pytest.raises(BundleError, match=r"model\.onnx leaves weights to another file"):
        Classifier(replace(fp32, model=content))


def test_the_manifest_knows_its_own_schema() -> None:
    """The shipped manifest parses to a value that dumps to the same JSON."""
    text = (SHIPPED / "manifest.json").read_text(encoding="utf-8")

    assert json.loads(text) == Manifest.model_validate_json(text).model_dump(mode="json")
