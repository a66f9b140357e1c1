"""The second view: what it undoes, and above all what it leaves alone."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.deobfuscate import MAX_CHARACTERS, deobfuscate, second_views
from stream.spellings import _BY_START, compose, decompose, spellings_from
from stream.stems import STEMS
from stream.text import normalise

HERE = Path(__file__).parent
HARMLESS = (HERE / "hard_negatives.txt").read_text(encoding="utf-8").splitlines()
HIDDEN = [
    tuple(line.split("\t"))
    for line in (HERE / "hidden_stems.tsv").read_text(encoding="utf-8").splitlines()
]
FORMS = [form for stem in STEMS for form in stem.forms]

# Texts in which something nearly always happens: pieces of stems and what stands inside them.
hostile = st.lists(
    st.sampled_from(
        [
            *"시씨발병신개새끼지랄섹스가슴보존나미친년놈아들이다",
            *"ㅅㅂㅆㅈㄹㄲㅄㅗㅣㅏㅎ .,-*1278^rlxXcG",
            *("18", "77", "십팔", "같은", "송", "청", "쉬", "쌔", "tlqkf", "sex"),
            *("\u200b", "\u0336", "😀", "ｓ"),
        ]
    )
).map("".join)
texts = st.one_of(st.text(), hostile)


def test_harmless_lines_are_left_as_they_are() -> None:
    """No line with an innocent look-alike of a stem has a second view."""
    assert [] == [line for line in HARMLESS if deobfuscate(line) != normalise(line)]


def test_hidden_stems_stand_in_the_view() -> None:
    """Every hidden stem, which the normalised text does not show, stands in the second view."""
    assert [] == [(text, stem) for text, stem in HIDDEN if stem in normalise(text)]
    assert [] == [(text, stem) for text, stem in HIDDEN if stem not in deobfuscate(text)]


def test_the_lists_are_as_long_as_they_should_be() -> None:
    """There are at least 230 different harmless lines and 80 different hidden stems' lines."""
    assert len(HARMLESS) == len(set(HARMLESS)) >= 230
    assert len(HIDDEN) == len(set(HIDDEN)) >= 80


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("야 씨 발 놈 들 아 문 열어", "야 씨발놈들아 문 열어"),
        ("개.새.끼.야 대답해", "개새끼야 대답해"),
        ("섹 스 하 고 싶 다 고 너랑", "섹스하고싶다고 너랑"),
        ("상담사 ㅂㅅ이냐 ㅋㅋㅋㅋ", "상담사 병신이냐 ㅋㅋ"),
        ("ㅅㅂㅅㅂ 또 안 돼", "시발시발 또 안 돼"),
        ("ㅁㅊㅅㄲ", "미친새끼"),
        ("씨​발 하고　말했다", "씨발 하고 말했다"),
        ("쉬발 개색기 병1신", "시발 개새끼 병신"),
        ("이ㅅ1발 ㅈㄹ 마라", "이시발 지랄 마라"),
    ],
)
def test_a_whole_view(raw: str, expected: str) -> None:
    """The hidden stem is written out with its endings; the rest reads as the normaliser has it."""
    assert expected == deobfuscate(raw)


@pytest.mark.parametrize(
    ("hidden", "innocent"),
    [
        ("시 발 놈아", "다 시 발 송 해 주세요"),
        ("시1발 보내", "9시1발 버스"),
        ("이 병 신 아", "공 병 신 청"),
        ("개 새 끼 야", "베 개 새 끼 우는"),
        ("보.지 보여 줘", "보.지 않.아.요"),
        ("18놈아", "18년 썼어요"),
        ("ㅂㅅ아 언제 와", "ㅂㅅ 언제 와요"),
        ("ㅅㅂ 뭐야", "초성이 ㅅㅂ 맞나요"),
        ("ㅈㄹ 말고", "ㅈㄹ-204 부품"),
        ("또 라 이 야", "또 라 이 터 하나"),
        ("이 미 친 년 아", "이 미 친 환 경"),
    ],
)
def test_neighbours_decide(hidden: str, innocent: str) -> None:
    """The same letters are a stem or none by what stands beside them."""
    assert deobfuscate(hidden) != normalise(hidden)
    assert deobfuscate(innocent) == normalise(innocent)


@pytest.mark.parametrize("form", [*FORMS, *(f"{form} " * 3 for form in FORMS)])
def test_a_stem_in_the_open_is_left_alone(form: str) -> None:
    """What is written in plain has no second view."""
    assert normalise(form) == deobfuscate(form)


@given(
    st.sampled_from([form for form in FORMS if len(form) > 1]), st.sampled_from([*".-_@·♡​", ".."])
)
def test_every_stem_of_the_table_is_found_by_rule(form: str, gap: str) -> None:
    """A sign between its syllables hides no stem."""
    assert form == deobfuscate(gap.join(form))


@given(texts)
def test_a_second_application_changes_nothing(text: str) -> None:
    """The second view of a second view is itself."""
    once = deobfuscate(text)

    assert once == deobfuscate(once)


@given(texts)
def test_a_view_is_normalised_and_no_longer_than_twice_its_text(text: str) -> None:
    """A view is a text as the model reads it, and short."""
    view = deobfuscate(text)

    assert view == normalise(view)
    assert len(view) <= 2 * len(text)


@given(texts)
def test_the_same_text_has_the_same_view(text: str) -> None:
    """A view depends on its text alone."""
    others = second_views([text, "ㅅㅂ", text])

    assert others.get(0) == others.get(2)
    assert others.get(0, normalise(text)) == deobfuscate(text)


def test_only_views_that_differ_are_returned() -> None:
    """What reads the same undone is not there to be scored a second time."""
    assert {1: "시발 왜"} == second_views(["네네네", "ㅅㅂ 왜", "", "보지 않았어요"])


def test_of_a_long_text_the_beginning_has_a_view() -> None:
    """A record of any size costs a bounded time: what no model reads is not looked at."""
    assert {} == second_views(["네 " * MAX_CHARACTERS + "ㅅㅂ"])
    assert "시발" in second_views(["ㅅㅂ " + "네 " * MAX_CHARACTERS])[0]


def test_no_pattern_can_run_away() -> None:
    """Every repetition in every pattern has an upper bound, so a find takes bounded time."""
    spellings = {spelling for found in _BY_START.values() for spelling in found}
    patterns = {slot.pattern for spelling in spellings for slot in spelling.slots}
    without_classes = {re.sub(r"\\.|\[[^]]*\]", "", pattern) for pattern in patterns}

    assert [] == [left for left in without_classes if re.search(r"[*+]|,\}", left)]


@given(st.integers(1, 40), hostile)
def test_a_find_spans_a_bounded_stretch(times: int, text: str) -> None:
    """However long a text is, no spelling found in it is: the work grows with the text alone."""
    flat = decompose(text * times)

    for start, end, _ in spellings_from(flat):
        assert len(compose(flat[start:end])) <= 400
