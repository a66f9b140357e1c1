"""Labelled text: what is refused, and how it is split."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.schema import ABUSE, LABELS, NORMAL, SEXUAL_HARASSMENT
from stream.text import normalise
from tests import tiny
from train import data
from train.data import Example
from train.errors import DataError


def tsv(directory: Path, *lines: str, name: str = "data.tsv") -> Path:
    path = directory / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        data.deduplicate(data.read(path))
    return str(caught.value)


def test_unknown_label_is_refused_with_its_line(tmp_path: Path) -> None:
    """A label that is not ours is refused by file and line, and the text is not quoted."""
    path = tsv(tmp_path, "text\tlabel", "네 감사합니다\t정상", "비밀 번호는요\t혐오")
    assert f"{path}:3: the label is not one of 정상, 욕설, 성희롱" == refusal(path)


@pytest.mark.parametrize("text", ["", "   ", "😀😀"])
def test_empty_text_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    """A text of which nothing is left after normalisation is refused by file and line."""
    path = tsv(tmp_path, "text\tlabel", f"{text}\t정상")
    assert f"{path}:2: the text is empty (after normalisation)" == refusal(path)


@pytest.mark.parametrize("column", ["text", "label"])
def test_missing_column_is_refused(tmp_path: Path, column: str) -> None:
    """A file without one of the two columns is refused, and the column is named."""
    header = {"text": "label\tsource", "label": "text\tsource"}[column]
    path = tsv(tmp_path, header, "정상\t정상")
    assert f"{path}:1: no column '{column}'" == refusal(path)


def test_row_without_a_label_is_refused(tmp_path: Path) -> None:
    """A row that ends before its label is refused by line and not read as anything."""
    path = tsv(tmp_path, "text\tlabel", "네 감사합니다")
    assert f"{path}:2: the label is not one of 정상, 욕설, 성희롱" == refusal(path)


def test_one_text_with_two_labels_is_refused(tmp_path: Path) -> None:
    """Texts equal after normalisation that differ in label are refused, both lines named."""
    path = tsv(tmp_path, "text\tlabel", "빨리  보내라\t정상", "빨리 보내라\t욕설")
    assert f"{path}:3: the same text as {path}:2, another label" == refusal(path)


def test_many_problems_are_listed_and_counted(tmp_path: Path) -> None:
    """Of many bad lines the first ten are listed and the rest is counted."""
    path = tsv(tmp_path, "text\tlabel", *(f"글 {i}\t없음" for i in range(14)))
    listed = refusal(path).splitlines()
    assert 11 == len(listed)
    assert "… and 4 more" == listed[-1]


def test_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    """A file that is not UTF-8 is refused by name."""
    path = tmp_path / "data.tsv"
    path.write_bytes("text\tlabel\n안녕\t정상\n".encode("cp949"))
    assert refusal(path).startswith(f"{path}: not UTF-8")


def test_a_class_with_too_few_rows_is_refused(tmp_path: Path) -> None:
    """A label with fewer than ten training rows is refused, with the number that is there."""
    tiny.write_rows(tmp_path / "validation.tsv", tiny.rows(3))
    kept = [row for row in tiny.rows() if row[1] != ABUSE]
    few = [row for row in tiny.rows() if row[1] == ABUSE][5:14]
    tiny.write_rows(tmp_path / "train.tsv", [*kept, *few])
    with pytest.raises(DataError, match="9 training rows labelled 욕설; at least 10"):
        data.load(tmp_path, seed=1)


def test_a_class_missing_in_validation_is_refused(tmp_path: Path) -> None:
    """A label without a single validation row cannot be measured and is refused."""
    rows = tiny.rows()
    tiny.write_rows(tmp_path / "train.tsv", rows)
    tiny.write_rows(tmp_path / "validation.tsv", [("네 고맙습니다", NORMAL), ("꺼져라", ABUSE)])
    with pytest.raises(DataError, match="no validation row labelled 성희롱"):
        data.load(tmp_path, seed=1)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), "no train.csv or train.tsv"),
        (("train.csv",), "no validation.csv or validation.tsv"),
        (("train.csv", "train.tsv"), "both train.csv and train.tsv; keep one"),
    ],
)
def test_an_unclear_directory_is_refused(
    tmp_path: Path, files: tuple[str, ...], message: str
) -> None:
    """A directory must hold each part once; what is missing or double is named."""
    for name in files:
        tsv(tmp_path, "text,label", "안녕하세요,정상", name=name)
    with pytest.raises(DataError, match=message):
        data.load(tmp_path, seed=1)


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A data path that does not exist is refused by name."""
    with pytest.raises(DataError, match=r"nowhere: no such file or directory"):
        data.load(tmp_path / "nowhere", seed=1)


def test_csv_follows_the_usual_quoting(tmp_path: Path) -> None:
    """In CSV a quoted field may hold commas, doubled quotation marks and line breaks."""
    path = tsv(
        tmp_path, "label,text", '정상,"네, ""그거"" 말이에요"', '욕설,"야\n이 씨발"', name="a.csv"
    )
    assert [
        Example('네, "그거" 말이에요', NORMAL, f"{path}:2"),
        Example("야 이 씨발", ABUSE, f"{path}:4"),
    ] == data.read(path)


def test_tsv_knows_no_quoting(tmp_path: Path) -> None:
    """In TSV a quotation mark is a character like any other, and other columns are ignored."""
    path = tsv(tmp_path, "text\tlabel\tsource", '"그거 말이에요\t정상\tme')
    assert [Example('"그거 말이에요', NORMAL, f"{path}:2")] == data.read(path)


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    """A file saved by a spreadsheet, with a byte order mark, reads like any other."""
    path = tmp_path / "a.csv"
    path.write_text("text,label\n안녕하세요,정상\n", encoding="utf-8-sig")
    assert [Example("안녕하세요", NORMAL, f"{path}:2")] == data.read(path)


def test_one_file_is_split_by_label(tmp_path: Path) -> None:
    """A single file is split so that every label stands in every part, and no row is lost."""
    examples = [Example(f"{label} {i}", label, "x") for label in LABELS for i in range(300)]
    parts = data.split(examples, seed=7, hashes={})
    counts = parts.counts()
    assert sorted(e.text for e in examples) == sorted(
        e.text for part in (parts.train, parts.validation, parts.test) for e in part
    )
    for label in LABELS:
        assert 210 <= counts["train"][label] <= 270
        assert 10 <= counts["validation"][label] <= 60
        assert 10 <= counts["test"][label] <= 60


def test_the_split_depends_on_the_seed_alone(tmp_path: Path) -> None:
    """The same file and seed give the same parts; another seed gives others."""
    path = tiny.write_rows(tmp_path / "all.tsv", tiny.rows())
    assert data.load(path, seed=3) == data.load(path, seed=3)
    assert data.load(path, seed=3).train != data.load(path, seed=4).train


texts = st.lists(st.text("가나다라 ", min_size=1, max_size=6).filter(normalise), unique=True)


@given(old=texts, new=texts)
def test_added_rows_move_no_old_row(old: list[str], new: list[str]) -> None:
    """A row stays on its side of the split whatever rows are added later."""

    def sides(raw: list[str]) -> dict[str, str]:
        examples = [Example(text, NORMAL, "x") for text in raw]
        parts = data.split(examples, seed=1, hashes={})
        return {
            row.text: name
            for name, part in (
                ("train", parts.train),
                ("validation", parts.validation),
                ("test", parts.test),
            )
            for row in part
        }

    before, after = sides(old), sides([*old, *(text for text in new if text not in old)])
    assert before == {text: after[text] for text in before}


def test_no_text_stands_on_two_sides(tmp_path: Path) -> None:
    """A training row that equals an evaluation row after normalisation is left out of training."""
    rows = tiny.rows()
    tiny.write_rows(tmp_path / "validation.tsv", rows[::5])
    twin = (rows[0][0].replace(" ", "   ") + " 😀", rows[0][1])
    tiny.write_rows(tmp_path / "train.tsv", [twin, *rows[1:]])
    parts = data.load(tmp_path, seed=1)
    train = {row.text for row in parts.train}
    validation = {row.text for row in parts.validation}
    assert set() == train & validation
    assert rows[0][0] in validation
    assert 60 == len(train)


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    """Rows that were written as TSV are read back as they were."""
    rows = [Example('그 "분" 말이에요', NORMAL, "x"), Example("몸매 좋네", SEXUAL_HARASSMENT, "y")]
    data.write(tmp_path / "a.tsv", rows)
    assert [(row.text, row.label) for row in rows] == [
        (row.text, row.label) for row in data.read(tmp_path / "a.tsv")
    ]
