"""What is said on the line: numbered utterances whose verdicts are known. Pure and seeded."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from stream.schema import ABUSE, NORMAL, SEXUAL_HARASSMENT

NUMBER = "chaos.number"
"""The header that carries a record's number, through to a dead letter."""
WORKER = "chaos.worker"
"""The header that says which worker published a flag or a dead letter."""

WORDS = (("욕 나온다", ABUSE), ("성난 말", SEXUAL_HARASSMENT), ("네 알겠습니다", NORMAL))
"""Texts and what `tests.fakes.WordScorer` makes of them."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """One record and what must come of it: a flag with `label`, a dead letter, or neither."""

    number: int
    call: str
    seq: int
    value: bytes = field(repr=False)
    label: str | None
    dead: bool = False

    @property
    def key(self) -> bytes:
        return self.call.encode()

    @property
    def headers(self) -> dict[str, str | bytes | None]:
        return {NUMBER: str(self.number)}


def speak(
    seed: int, texts: Sequence[tuple[str, str]] = WORDS, calls: int = 40, length: int = 80
) -> Iterator[Spoken]:
    """Yield what `calls` calls at a time say, without end; a call has about `length` utterances.

    `texts` are pairs of a text and its label; half of what is said is drawn from the flagged ones.
    Some are the agent's, or partials, which give no flag; some break the contract.
    """
    dice = random.Random(seed)
    normal = [text for text in texts if text[1] == NORMAL]
    flagged = [text for text in texts if text[1] != NORMAL]
    names = [f"call-{number}" for number in range(calls)]
    spoken = dict.fromkeys(names, 0)
    number, started = 0, calls
    while True:
        place = dice.randrange(calls)
        call, seq = names[place], spoken[names[place]]
        yield _spoken(dice, number, call, seq, dice.choice(dice.choice((normal, flagged))))
        number += 1
        spoken[call] += 1
        if dice.random() < 1 / length:
            names[place] = f"call-{started}"
            spoken[names[place]] = 0
            started += 1


def _spoken(dice: random.Random, number: int, call: str, seq: int, text: tuple[str, str]) -> Spoken:
    utterance = {
        "schema_version": 1,
        "call_id": call,
        "utterance_id": f"u{number}",
        "seq": seq,
        "speaker": "customer",
        "text": text[0],
        "started_at": "2026-11-25T09:00:00+09:00",
    }
    label = text[1] if text[1] != NORMAL else None
    what = dice.random()
    if what < 0.01:
        whole = json.dumps(utterance, ensure_ascii=False).encode()
        return Spoken(number, call, seq, whole[: len(whole) // 2], None, dead=True)
    if what < 0.02:
        del utterance["text"]
        label = None
    elif what < 0.06:
        utterance["speaker"] = "agent"
        label = None
    elif what < 0.09:
        utterance["is_final"] = False
        label = None
    value = json.dumps(utterance, ensure_ascii=False).encode()
    return Spoken(number, call, seq, value, label, dead="text" not in utterance)
