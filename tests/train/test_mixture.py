"""The mixture, on corpora of a few lines."""

import gzip
import json
from pathlib import Path

import pytest

from stream.schema import ABUSE, NORMAL, SEXUAL_HARASSMENT
from tests import tiny
from train import corpora, data, mixture
from train.data import Example
from train.errors import DataError
from train.mixture import Helping


def write_source(directory: Path, name: str, header: str, *lines: str) -> None:
    directory.mkdir(exist_ok=True)
    with gzip.open(directory / f"{name}.tsv.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join((header, *lines)) + "\n")


def write_corpora(directory: Path) -> Path:
    """Write the public files that the mixture reads, in few lines."""
    write_source(
        directory,
        "relabelled",
        "text\tlabel",
        "이런 미친 세상\t욕설",
        "오늘 날씨가 좋네요\t정상",
        "누구 얘긴지 모르겠다\t제외",
        "엉덩이 한 번 만져 보자\t성희롱",
    )
    for name in mixture.SPOKEN:
        column = corpora.SOURCES[name].text_columns[0]
        write_source(
            directory,
            name,
            f"{column}\tother",
            *(f"{name} {i}번 창문 열어 줘\tx" for i in "가나다라마바사"),
            "나랑 사귀자고 했어\tx",
            "오늘 날씨가 좋네요\tx",
        )
    return directory


def write_corpus(directory: Path) -> Path:
    """Write the project's own corpus: one writer and one call a part."""
    lines = tiny.rows()
    shares = {"train": lines[0::3] + lines[1::3], "validation": lines[2::6], "test": lines[5::6]}
    for part, share in shares.items():
        (directory / part).mkdir(parents=True)
        tiny.write_rows(directory / part / "writer.tsv", share)
        turns = [{"text": f"네 {part} 상담사입니다", "label": NORMAL}]
        (directory / part / "calls.jsonl").write_text(
            json.dumps({"turns": turns}, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    return directory


def examples(*pairs: tuple[str, str]) -> list[Example]:
    return [Example(text, label, "x") for text, label in pairs]


def test_public_rows_carry_our_label_and_are_short(tmp_path: Path) -> None:
    """A row that is left out by label, or longer than speech is, does not come through."""
    write_source(
        tmp_path,
        "relabelled",
        "text\tlabel",
        "안녕   하세요\t정상",
        "무슨 말인지\t제외",
        f"{'가나다 ' * 20}\t욕설",
        "아\t정상",
    )
    assert [Example("안녕 하세요", NORMAL, "relabelled")] == list(
        mixture.public(corpora.SOURCES["relabelled"], tmp_path)
    )


def test_a_sample_takes_the_abusive_rows_first() -> None:
    """Of more rows than asked for every abusive one is taken before any 정상."""
    rows = examples(
        ("하나", NORMAL), ("둘", ABUSE), ("셋", NORMAL), ("넷", SEXUAL_HARASSMENT), ("둘", ABUSE)
    )
    taken = mixture.sample(iter(rows), 3)
    assert {ABUSE, SEXUAL_HARASSMENT} == {row.label for row in taken[:2]}
    assert 3 == len({row.text for row in taken})


def test_a_sample_does_not_depend_on_the_order_of_the_file() -> None:
    """The same rows in another order give the same sample in the same order."""
    rows = examples(*((f"글 {i}", NORMAL) for i in range(20)))
    assert mixture.sample(iter(rows), 5) == mixture.sample(iter(reversed(rows)), 5)


def test_the_mixture_keeps_the_parts_apart(tmp_path: Path) -> None:
    """Every part is written and readable, and no text stands in two of them."""
    mixture.build(
        write_corpus(tmp_path / "corpus"),
        write_corpora(tmp_path / "corpora"),
        tmp_path / "out",
        Helping(relabelled=10, spoken=15, spoken_validation=6),
    )
    parts = data.load(tmp_path / "out", seed=1)
    texts = [{row.text for row in part} for part in (parts.train, parts.validation, parts.test)]
    assert sum(map(len, texts)) == len(set().union(*texts))
    assert "네 validation 상담사입니다" in texts[1]
    assert {"이런 미친 세상", "엉덩이 한 번 만져 보자"} <= texts[0]
    spoken = [sum("창문 열어 줘" in text for text in part) for part in texts]
    assert 6 == spoken[1]
    assert 0 == spoken[2]
    assert 0 < spoken[0]


def test_unread_rows_with_risky_words_stay_out(tmp_path: Path) -> None:
    """A public row that nobody read is no 정상 example if it holds a word of love or abuse."""
    mixture.build(
        write_corpus(tmp_path / "corpus"),
        write_corpora(tmp_path / "corpora"),
        tmp_path / "out",
        Helping(relabelled=10, spoken=30, spoken_validation=3),
    )
    written = (tmp_path / "out/train.tsv").read_text(encoding="utf-8")
    assert "나랑 사귀자고 했어" not in written
    assert 1 == written.count("오늘 날씨가 좋네요")


def test_public_rows_that_we_read_carry_our_label(tmp_path: Path) -> None:
    """A row of public speech whose sha256 the corpus lists trains with our label, risky or not."""
    corpus = write_corpus(tmp_path / "corpus")
    sha256 = data.fingerprint("나랑 사귀자고 했어")
    (corpus / mixture.PUBLIC_LABELS).write_text(
        f"sha256\tlabel\tsource\n{sha256}\t{NORMAL}\t{mixture.SPOKEN[0]}\n", encoding="utf-8"
    )
    mixture.build(corpus, write_corpora(tmp_path / "corpora"), tmp_path / "out", Helping(10, 0, 0))
    written = (tmp_path / "out/train.tsv").read_text(encoding="utf-8")
    assert f"나랑 사귀자고 했어\t{NORMAL}\t{mixture.SPOKEN[0]} read\n" in written


def test_a_foreign_label_of_a_public_row_is_refused(tmp_path: Path) -> None:
    """A label that is not ours in the list of public rows is named."""
    (tmp_path / mixture.PUBLIC_LABELS).write_text(
        "sha256\tlabel\tsource\nab\t혐오\t3i4k\n", encoding="utf-8"
    )
    with pytest.raises(DataError, match="혐오"):
        mixture.public_labels(tmp_path)


def test_a_missing_public_file_is_named(tmp_path: Path) -> None:
    """Where a public file is missing the error names it and the option that helps."""
    with pytest.raises(DataError, match=r"relabelled\.tsv\.gz: not found; .*--corpora"):
        list(corpora.rows(corpora.SOURCES["relabelled"], tmp_path))


def test_a_public_file_without_its_column_is_named(tmp_path: Path) -> None:
    """Where a public file lacks the column that its text stands in, the column is named."""
    write_source(tmp_path, "relabelled", "sentence\tlabel", "안녕\t정상")
    with pytest.raises(DataError, match="no column 'text'"):
        list(corpora.rows(corpora.SOURCES["relabelled"], tmp_path))


def test_an_empty_corpus_is_refused(tmp_path: Path) -> None:
    """A part of the corpus without a single .tsv is refused with the option that helps."""
    with pytest.raises(DataError, match=r"no \.tsv file; give the corpus with --corpus"):
        list(mixture.own(tmp_path))
