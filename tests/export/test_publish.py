"""A finished bundle takes its place whole."""

from pathlib import Path

import pytest

from export.errors import ExportError
from export.publish import check_replaceable, publish


def directory(path: Path, **files: str) -> Path:
    path.mkdir(parents=True)
    for name, text in files.items():
        (path / f"{name}.json").write_text(text, encoding="utf-8")
    return path


def test_the_first_bundle_moves_in(tmp_path: Path) -> None:
    """Where nothing is, the finished directory is there afterwards and gone from where it was."""
    finished = directory(tmp_path / "work/new", manifest="new")
    publish(finished, tmp_path / "out")
    assert "new" == (tmp_path / "out/manifest.json").read_text(encoding="utf-8")
    assert not finished.exists()


def test_the_next_bundle_replaces_it_whole(tmp_path: Path) -> None:
    """Of a replaced bundle no file stays behind, in its place or beside it."""
    old = directory(tmp_path / "out", manifest="old", extra="old")
    publish(directory(tmp_path / "work/new", manifest="new"), old)
    assert ["manifest.json"] == [path.name for path in old.iterdir()]
    assert [] == list((tmp_path / "work").iterdir())


def test_the_old_bundle_comes_back_when_the_new_one_cannot_move(tmp_path: Path) -> None:
    """A rename that fails half way leaves the old bundle in its place."""
    old = directory(tmp_path / "out", manifest="old")
    (tmp_path / "work").mkdir()
    with pytest.raises(OSError, match="new"):
        publish(tmp_path / "work/new", old)
    assert "old" == (tmp_path / "out/manifest.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("is_file", [True, False])
def test_what_is_no_bundle_is_never_replaced(tmp_path: Path, is_file: bool) -> None:
    """A file, and a directory without a manifest, are refused."""
    out = tmp_path / "out"
    if is_file:
        out.write_text("text", encoding="utf-8")
    else:
        out.mkdir()
    with pytest.raises(ExportError, match="exists and is no bundle"):
        check_replaceable(out)
