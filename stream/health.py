"""Signs that a transcript hides evidence before it reaches the worker. Pure.

A recogniser that masks swear words, or hears nothing any more, makes the worker silent without any
fault of its own. So what looks like it is counted, and an alert rule watches the counters.
"""

import re
from collections.abc import Iterator
from typing import Literal

from stream.schema import Speaker, Utterance

Sign = Literal["masked", "empty_final", "role_unknown", "low_confidence", "missing_key"]

LOW_CONFIDENCE = 0.3
"""Below it a recogniser guesses; usual utterances of call speech stand over 0.7."""

# "***", "f**", "씨*", "○○", "삐-", "삐이익", "[비속어]"; a lone asterisk is a key on the telephone,
# and "삐졌어요" is a mood.
_MASKED = re.compile(
    r"\*{2,}|(?<![0-9A-Za-z가-힣])[A-Za-z가-힣]\*(?!\w)|[○●■]{2,}"
    r"|삐\s*[-~ー―]+|삐이+|삐+익"
    r"|[\[(<](?:비속어|욕설|음란|삐|삭제|bleep(?:ed)?|censored|profanity)[\])>]",
    re.IGNORECASE,
)


def signs(utterance: Utterance) -> Iterator[Sign]:
    """Yield what is suspicious about `utterance`, each sign once; for most there is none."""
    if utterance.is_final and not utterance.text.strip():
        yield "empty_final"
    if _MASKED.search(utterance.text):
        yield "masked"
    if utterance.speaker is Speaker.UNKNOWN:
        yield "role_unknown"
    if utterance.asr_confidence is not None and utterance.asr_confidence < LOW_CONFIDENCE:
        yield "low_confidence"
