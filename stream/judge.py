"""Turns records into the flags and dead letters that they give rise to.

A judge is one model under one policy, and never changes: a reload puts another in its place.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from stream import health
from stream.deobfuscate import second_views
from stream.errors import BadRecordError, ModelFaultError, ModelInputError
from stream.messages import Outbox, dead_letter_message, flag_message
from stream.policy import Policy, Verdict, decide, decide_views, skip_reason
from stream.ports import Message, Observer, Record, Scored, Scorer
from stream.schema import LABEL_CODES, LABELS, Utterance, parse_utterance


@dataclass(frozen=True)
class Flagged:
    """What is counted for a flag once it is acknowledged."""

    label_code: str
    timestamp: int


@dataclass(frozen=True)
class Judgement:
    """What a chunk gives rise to, in the order of its records."""

    messages: Sequence[Message]
    flags: Sequence[Flagged]
    dead: Sequence[bool]
    """For each record, whether it is a dead letter."""


class Judge:
    """Judges records. Blocks for as long as the model takes; called from one thread at a time."""

    def __init__(
        self,
        scorer: Scorer,
        policy: Policy,
        outbox: Outbox,
        observer: Observer,
        max_record_bytes: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.scorer = scorer
        self.policy = policy
        self._outbox = outbox
        self._observer = observer
        self._max_record_bytes = max_record_bytes
        self._now = now

    def judge(self, records: Sequence[Record]) -> Judgement:
        """Return what `records` give rise to.

        Raises FatalError where the model's answer does not fit the question. A text that the model
        fails on becomes a dead letter of its own, whatever stands beside it.
        """
        begun = time.perf_counter()
        parsed = [self._parse(record) for record in records]
        self._observer.stage("parse", time.perf_counter() - begun)
        judged = [
            number
            for number, item in enumerate(parsed)
            if isinstance(item, Utterance) and not skip_reason(item, self.policy.judged_speakers)
        ]
        texts = [
            item.text for item in map(parsed.__getitem__, judged) if isinstance(item, Utterance)
        ]
        verdicts = dict(zip(judged, self._verdicts(texts), strict=True))
        detected_at = datetime.fromtimestamp(self._now(), UTC)
        messages: list[Message] = []
        flags: list[Flagged] = []
        dead: list[bool] = []
        for number, (record, item) in enumerate(zip(records, parsed, strict=True)):
            outcome = verdicts.get(number, item)
            dead.append(isinstance(outcome, BadRecordError))
            if isinstance(outcome, BadRecordError):
                messages.append(
                    dead_letter_message(
                        record, outcome, "parse" if outcome is item else "score", self._outbox
                    )
                )
                self._observer.outcome("dead_lettered")
                self._observer.dead_letter(outcome.disposition)
            elif isinstance(outcome, Verdict) and outcome.flagged:
                assert isinstance(item, Utterance)
                messages.append(
                    flag_message(record, item, outcome, self.policy, self._outbox, detected_at)
                )
                flags.append(Flagged(LABEL_CODES[outcome.label], record.timestamp))
        return Judgement(messages, flags, dead)

    def _parse(self, record: Record) -> Utterance | BadRecordError:
        """Return the record's utterance or why there is none; count what it says of its source."""
        if record.key is None:
            self._observer.transcript("missing_key")
        try:
            utterance = parse_utterance(record.key, record.value, self._max_record_bytes)
        except BadRecordError as error:
            return error
        for sign in health.signs(utterance):
            self._observer.transcript(sign)
        if skipped := skip_reason(utterance, self.policy.judged_speakers):
            self._observer.outcome(skipped)
        return utterance

    def _verdicts(self, texts: Sequence[str]) -> list[Verdict | ModelInputError]:
        """Return the verdict of each text, or that the model fails on it.

        The second views that differ are scored behind the texts.
        """
        views = second_views(texts) if self.policy.second_view else {}
        rows = {row: len(texts) + number for number, row in enumerate(views)}
        scored = score_each(self.scorer, [*texts, *views.values()])
        self._observer.stage("tokenise", scored.tokenise_seconds)
        self._observer.stage("infer", scored.infer_seconds)
        self._observer.truncated(scored.truncated)
        return [self._verdict(scored, row, rows.get(row)) for row in range(len(texts))]

    def _verdict(self, scored: Scored, row: int, second: int | None) -> Verdict | ModelInputError:
        """Return the verdict for the text in `row`, and report how it was come by."""
        views = [scored.scores[row], *([] if second is None else [scored.scores[second]])]
        # Half a judgement is none: a hidden swear word may stand in the view that failed.
        if not np.isfinite(views).all():
            return ModelInputError()
        thresholds = self.policy.thresholds
        verdict = decide(views[0], thresholds)
        self._observer.outcome("empty" if scored.empty[row] and second is None else "judged")
        if second is None:
            return verdict
        stronger = decide_views(views, thresholds)
        self._observer.second_view(changed=stronger.label != verdict.label)
        return stronger


def score_each(scorer: Scorer, texts: Sequence[str]) -> Scored:
    """Return the scores of `texts`; a text that the model fails on, even alone, has NaN for scores.

    Where the model fails on several texts each half is tried by itself, and so on: for one bad text
    of n the others are scored at most about twice.
    """
    try:
        return scorer.score(texts)
    except ModelFaultError:
        if len(texts) <= 1:
            scores = np.full((len(texts), len(LABELS)), np.nan, np.float32)
            return Scored(scores, np.zeros(len(texts), np.bool_))
    middle = len(texts) // 2
    first, last = score_each(scorer, texts[:middle]), score_each(scorer, texts[middle:])
    return Scored(
        scores=np.concatenate([first.scores, last.scores]),
        empty=np.concatenate([first.empty, last.empty]),
        truncated=first.truncated + last.truncated,
        tokenise_seconds=first.tokenise_seconds + last.tokenise_seconds,
        infer_seconds=first.infer_seconds + last.infer_seconds,
    )
