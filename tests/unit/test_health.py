"""Signs that a transcript hides evidence."""

import pytest

from stream.health import signs
from stream.schema import Utterance
from tests import build

MASKED = [
    "야 이 ***야",
    "f** you",
    "씨* 뭐 하는 거야",
    "○○ 같은 놈아",
    "삐- 소리 하지 마",
    "이런 삐이익",
    "이 [비속어] 들아",
    "야 (욕설) 끊어",
]
PLAIN = [
    "우물 정자 누르고 별표 * 눌러 주세요",
    "2*3 사이즈 있어요",
    "삐졌어요 화나서",
    "삐 소리가 나면 말씀해 주세요",
    "저한테 욕설을 하셨잖아요",
    "네",
]


def of(**changes: object) -> list[str]:
    return list(signs(Utterance.model_validate(build.utterance(**changes))))


@pytest.mark.parametrize("text", MASKED)
def test_masked_words_are_seen(text: str) -> None:
    """What a recogniser puts in a swear word's place counts as masked."""
    assert ["masked"] == of(text=text)


@pytest.mark.parametrize("text", PLAIN)
def test_ordinary_signs_are_no_mask(text: str) -> None:
    """Keys, arithmetic, moods and talk about swearing are no mask."""
    assert [] == of(text=text)


def test_what_a_source_leaves_out_is_counted() -> None:
    """An empty final, an unknown speaker and a guessing recogniser are signs; each counts once."""
    assert ["empty_final"] == of(text="  ")
    assert [] == of(text="  ", is_final=False)
    assert ["role_unknown"] == of(speaker="unknown")
    assert ["low_confidence"] == of(asr_confidence=0.1)
    assert [] == of(asr_confidence=0.9)
