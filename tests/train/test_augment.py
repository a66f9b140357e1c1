"""Every perturbation: what it writes, that it is repeatable, and that it leaves a text a text."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.text import normalise
from train.augment import PERTURBATIONS, augment

SENTENCES = st.text("가나다라 시발네요죠팔가슴이씨abc12.ㅋ", max_size=40).map(normalise)


@pytest.mark.parametrize(
    ("name", "text", "written"),
    [
        ("jamo", "야 시발 진짜", {"야 ㅅㅣㅂㅏㄹ 진짜"}),
        ("initials", "야 시발 왜", {"야 ㅅㅂ 왜"}),
        ("initials", "결제일 변경", {"결제일 변경"}),
        ("digits", "야 시발", {f"야 시{digit}발" for digit in "123478"}),
        ("dots", "야 시발", {f"야 시{sign}발" for sign in ".,-/~! "}),
        ("lookalike", "야 시발", {"야 ㅅl발", "야 시8"}),
        ("lookalike", "옷", {"옷"}),
        ("misheard", "네", {"내"}),
        ("misheard", "빵", {"방"}),
    ],
)
def test_a_perturbation_writes_what_people_write(name: str, text: str, written: set[str]) -> None:
    """Over many seeds a perturbation writes exactly the forms that are known for it."""
    assert written == {PERTURBATIONS[name](text, random.Random(seed)) for seed in range(200)}


def test_spacing_moves_spaces_only() -> None:
    """Spacing noise changes no character but the space."""
    text = "전화를 왜 이렇게 안 받아요"
    noisy = [PERTURBATIONS["spacing"](text, random.Random(seed)) for seed in range(50)]
    assert {text.replace(" ", "")} == {one.replace(" ", "") for one in noisy}
    assert len(set(noisy)) > 10


def test_a_filler_leaves_the_words_in_order() -> None:
    """A text with fillers still holds its own words in their order."""
    words = ["주소를", "바꾸고", "싶은데요"]
    spoken = PERTURBATIONS["filler"](" ".join(words), random.Random(3)).split()
    assert 1 <= len(spoken) - len(words) <= 2
    remaining = iter(spoken)
    assert all(word in remaining for word in words)


def test_the_word_worth_hiding_is_hidden() -> None:
    """Where a text holds a swear word that word is rewritten, whatever the seed."""
    texts = [PERTURBATIONS["dots"]("보내 이 개새끼야 빨리", random.Random(i)) for i in range(30)]
    assert not any("개새끼" in text for text in texts)
    assert all(text.startswith("보내 이 개") and text.endswith("야 빨리") for text in texts)


@given(st.sampled_from(sorted(PERTURBATIONS)), SENTENCES, st.integers())
def test_the_same_seed_writes_the_same_text(name: str, text: str, seed: int) -> None:
    """A perturbation depends on its text and generator alone, and never empties a text."""
    written = PERTURBATIONS[name](text, random.Random(seed))
    assert written == PERTURBATIONS[name](text, random.Random(seed))
    assert bool(text.strip()) <= bool(written.strip())


@given(SENTENCES, st.integers())
def test_an_augmented_text_is_normalised(text: str, seed: int) -> None:
    """What training reads has passed the normaliser, as what the worker reads has."""
    written = augment(text, random.Random(seed), rate=1.0)
    assert normalise(written) == written


def test_the_rate_is_the_share_of_texts_touched() -> None:
    """No text is touched at rate 0, and about half of them at rate 0.5."""
    text = "전화를 왜 이렇게 안 받아요 시발"
    assert {text} == {augment(text, random.Random(seed), 0.0) for seed in range(50)}
    touched = sum(augment(text, random.Random(seed), 0.5) != text for seed in range(400))
    assert 140 < touched < 220
