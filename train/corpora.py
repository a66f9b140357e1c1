"""The public Korean corpora that training may read in place, and what their labels mean to us.

Nothing of them is committed. A source's own labels rarely mean what ours do (see `label_of`);
a row that maps to no label of ours still serves as plain text.
"""

import csv
import gzip
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from train.errors import DataError

Row = Mapping[str, str]


def _no_label(_: Row) -> str | None:
    return None


def _always_normal(_: Row) -> str | None:
    return "정상"


@dataclass(frozen=True)
class Source:
    """One public file: where its text stands, under what licence, and which label a row earns."""

    name: str
    repository: str
    licence: str
    text_columns: tuple[str, ...]
    label_of: Callable[[Row], str | None] = _no_label
    suffix: str = ".tsv.gz"

    def path(self, corpora: Path) -> Path:
        return corpora / f"{self.name}{self.suffix}"


_CC_BY_SA = "CC-BY-SA-4.0"

SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        Source("curse_detection__dataset", "2runo/Curse-detection-data", "MIT", ("text",)),
        Source("kmhas__valid", "adlnlp/K-MHaS", _CC_BY_SA, ("document",)),
        Source("kmhas__test", "adlnlp/K-MHaS", _CC_BY_SA, ("document",)),
        Source("kodoli__kodoli", "cardy20/KODOLI", _CC_BY_SA, ("sentences",)),
        Source("beep__train", "kocohub/korean-hate-speech", _CC_BY_SA, ("comments",)),
        Source("beep__dev", "kocohub/korean-hate-speech", _CC_BY_SA, ("comments",)),
        Source("beep__test.no_label", "kocohub/korean-hate-speech", _CC_BY_SA, ("comments",)),
        Source("beep__unlabeled_5", "kocohub/korean-hate-speech", _CC_BY_SA, (), suffix=".txt.gz"),
        Source("apeach__apeach", "jason9693/APEACH", _CC_BY_SA, ("text",)),
        Source(
            "hatescore__hatescore",
            "sgunderscore/hatescore-korean-hate-speech",
            "Apache-2.0",
            ("comment",),
        ),
        Source("kda__kda_ko", "minkyeongjeon/kda", "Apache-2.0", ("neutral", "implicit")),
        Source("kosbi__valid", "naver-ai/korean-safety-benchmarks", "MIT", ("context", "sentence")),
        Source("kosbi__test", "naver-ai/korean-safety-benchmarks", "MIT", ("context", "sentence")),
        Source("chatbot_songys__chatbot", "songys/Chatbot_data", "MIT", ("Q",), _always_normal),
        Source("3i4k__fci_all", "warnikchow/3i4k", _CC_BY_SA, ("text",), _always_normal),
        Source("parakqc__paraKQC_v1", "warnikchow/paraKQC", _CC_BY_SA, ("text",), _always_normal),
        Source("nsmc__reviews_from_raw", "e9t/nsmc", "CC0-1.0", ("text",)),
        # Rows of the files above, read one by one and labelled anew by our own guide: the one
        # public file whose 욕설 and 성희롱 mean what ours mean. 제외 (left out) earns no label.
        Source(
            "relabelled",
            "several of the above",
            "each row under its source's licence",
            ("text",),
            lambda row: row["label"] if row["label"] != "제외" else None,
        ),
    )
}


def rows(source: Source, corpora: Path) -> Iterator[Row]:
    """Yield the rows of `source`; a plain text file yields rows of the one column `text`.

    Raises DataError where the file is missing or lacks a column.
    """
    path = source.path(corpora)
    if not path.is_file():
        raise DataError(f"{path}: not found; give the directory that holds it with --corpora")
    csv.field_size_limit(sys.maxsize)
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        if not source.text_columns:
            yield from ({"text": line.rstrip("\r\n")} for line in file)
            return
        reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        for column in source.text_columns:
            if column not in (reader.fieldnames or ()):
                raise DataError(f"{path}: no column {column!r}")
        yield from reader


def texts(source: Source, corpora: Path) -> Iterator[str]:
    """Yield every non-empty text of `source`, as it stands in the file."""
    columns = source.text_columns or ("text",)
    for row in rows(source, corpora):
        for column in columns:
            if row[column]:
                yield row[column]
