"""The normaliser and the mask."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.text import mask, normalise


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("안녕하세요", "안녕하세요"),
        (unicodedata.normalize("NFD", "안녕하세요"), "안녕하세요"),
        ("네네네네네", "네네"),
        ("아이고😀😀 참", "아이고 참"),
        ("여기 https://example.com/a?b=c 보세요", "여기 보세요"),
        ("WWW.example.com들어가세요", "들어가세요"),
        ("ㅋㅋㅋㅋㅋ ㅅㅂ", "ㅋㅋ ㅅㅂ"),
        ("hello　世界\t한국\n", "hello 한국"),
        ("50％ 할인∼ (오늘)", "50％ 할인∼ (오늘)"),
        ("씨​발", "씨 발"),
        ("\ud800", ""),
        ("", ""),
    ],
)
def test_each_rule(raw: str, expected: str) -> None:
    """Every rule of the normaliser does what its sentence says."""
    assert expected == normalise(raw)


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    """The normaliser is idempotent."""
    once = normalise(text)

    assert once == normalise(once)


@given(st.text())
def test_output_is_in_the_alphabet(text: str) -> None:
    """Only printable ASCII, Hangul and the few signs remain, with single inner spaces."""
    for character in normalise(text):
        assert "\x20" <= character <= "\x7e" or "ㄱ" <= character <= "힣" or character in "·∼％"


@given(st.lists(st.sampled_from(["w", "h", "t", "p", "s", ":", "/", ".", "a", "가", " "])))
def test_urls_that_appear_by_cutting_runs_are_gone_as_well(parts: list[str]) -> None:
    """No sequence of URL characters leaves something that a second pass would remove."""
    once = normalise("".join(parts))

    assert once == normalise(once)


def test_mask_keeps_first_characters_and_no_digit() -> None:
    """A masked text shows the first character of each word and none of its digits."""
    assert "카○ ○○○○ 번○ 네" == mask("카드 1234 번호 네")


@given(st.text())
def test_mask_keeps_the_shape(text: str) -> None:
    """A mask changes neither the length nor the places of white space."""
    masked = mask(text)

    assert [c.isspace() for c in text] == [c.isspace() for c in masked]
