"""What one model under one policy makes of records, and what it makes of a model that fails."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import ModelFaultError, ModelReplyError
from stream.judge import score_each
from stream.ports import Message, Place, Record, Scored
from tests import build
from tests.fakes import CountingObserver, WordScorer


class Failing(WordScorer):
    """Fails on every batch that holds one of `bad`, as a model does that runs out of memory."""

    def __init__(self, bad: set[str]) -> None:
        super().__init__()
        self.bad = bad
        self.batches: list[int] = []

    def score(self, texts: Sequence[str]) -> Scored:
        self.batches.append(len(texts))
        if self.bad & set(texts):
            raise ModelFaultError
        return super().score(texts)


def records(*texts: str) -> list[Record]:
    return [
        Record(Place("t", 0), number, 0, b"call", build.value(text, utterance_id=f"u{number}"))
        for number, text in enumerate(texts)
    ]


def header(message: Message, name: str) -> str:
    return dict(message.headers)[f"kcguard.dlq.{name}"].decode()


@given(st.lists(st.booleans(), max_size=40))
def test_only_the_texts_that_the_model_fails_on_go_without_scores(bad: list[bool]) -> None:
    """Whatever the pattern of bad texts, the others keep the scores that they have alone."""
    texts = [f"{'욕' if number % 3 else '네'} {number}" for number in range(len(bad))]
    scorer = Failing({text for text, fails in zip(texts, bad, strict=True) if fails})
    scored = score_each(scorer, texts)

    assert bad == np.isnan(scored.scores).any(axis=1).tolist()
    for text, fails, row in zip(texts, bad, scored.scores, strict=True):
        if not fails:
            np.testing.assert_array_equal(WordScorer().score([text]).scores[0], row)


def test_one_bad_text_costs_the_others_about_one_more_scoring() -> None:
    """For one bad text of 256 fewer than three times 256 texts are handed to the model."""
    scorer = Failing({"bad"})
    score_each(scorer, ["네"] * 100 + ["bad"] + ["네"] * 155)

    assert sum(scorer.batches) < 3 * 256


def test_a_text_that_the_model_fails_on_is_a_dead_letter_of_its_own() -> None:
    """Its neighbours are judged; it is dead-lettered from the stage `score`, in its order."""
    observer = CountingObserver()
    judge = build.judge(observer, scorer=Failing({"독"}))
    judgement = judge.judge(records("욕 하나", "독", "성 둘"))

    assert ["moderation.flags", "moderation.dlq", "moderation.flags"] == [
        message.topic for message in judgement.messages
    ]
    assert [False, True, False] == judgement.dead
    letter = judgement.messages[1]
    assert ("score", "model_input") == (header(letter, "stage"), header(letter, "disposition"))
    assert "독" not in header(letter, "message")
    assert {"judged": 2, "dead_lettered": 1} == observer.outcomes


def test_a_text_whose_second_view_fails_is_no_verdict() -> None:
    """Half a judgement is none: the view that failed may hold the hidden word."""
    judgement = build.judge(scorer=Failing({"시발 왜"})).judge(records("ㅅㅂ 왜"))

    assert [True] == judgement.dead


def test_a_wrong_number_of_rows_is_not_retried() -> None:
    """An answer for another number of texts is a bug and ends the worker."""

    class Wrong(WordScorer):
        def score(self, texts: Sequence[str]) -> Scored:
            raise ModelReplyError

    with pytest.raises(ModelReplyError):
        build.judge(scorer=Wrong()).judge(records("네", "욕"))


def test_what_a_source_leaves_out_is_reported() -> None:
    """Signs of hidden evidence are counted, also for a record that has no key."""
    observer = CountingObserver()
    no_key = Record(Place("t", 0), 0, 0, None, build.value())
    build.judge(observer).judge([no_key, *records("야 이 ***야", "")])

    assert {"missing_key": 1, "masked": 1, "empty_final": 1} == observer.signs
