"""What a model's scores mean: which verdict, how severe, and whose utterances are judged at all.

Pure: numbers and settings in, a decision out. The worker acts on it.
"""

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from stream.errors import ConfigurationError
from stream.schema import (
    ABUSE,
    FLAGGED_LABELS,
    LABEL_CODES,
    LABELS,
    NORMAL,
    SEXUAL_HARASSMENT,
    Speaker,
    Utterance,
)

Severity = Literal["low", "medium", "high"]
Scores = Sequence[float] | npt.NDArray[np.float32]
"""One row of scores, in the order of LABELS."""


class Verdict(BaseModel):
    """The decision for one utterance."""

    model_config = ConfigDict(frozen=True)

    label: str
    score: float
    scores: dict[str, float]
    threshold: float | None = None
    """The threshold that `score` reached; None for 정상."""

    @property
    def flagged(self) -> bool:
        return self.label != NORMAL


class Policy(BaseModel):
    """Thresholds, severities, judged speakers and views; its version changes with any of them."""

    model_config = ConfigDict(frozen=True)

    thresholds: dict[str, float]
    severities: dict[str, Severity] = {ABUSE: "medium", SEXUAL_HARASSMENT: "high"}
    judged_speakers: frozenset[Speaker] = frozenset({Speaker.CUSTOMER, Speaker.UNKNOWN})
    second_view: bool = True
    """Whether a text with hidden stems is judged by its de-obfuscated view as well."""

    @field_validator("thresholds")
    @classmethod
    def _complete(cls, value: dict[str, float]) -> dict[str, float]:
        if set(value) != set(FLAGGED_LABELS) or not all(0 < x <= 1 for x in value.values()):
            raise ValueError(f"needs one threshold over 0 and up to 1 for each of {FLAGGED_LABELS}")
        return value

    @property
    def version(self) -> str:
        """Return a short hash of everything that can change a decision."""
        parts = (
            sorted(self.thresholds.items()),
            sorted(self.severities.items()),
            sorted(self.judged_speakers),
            self.second_view,
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


FlaggedCode = Literal["abuse", "sexual_harassment"]


class PolicyFile(BaseModel):
    """What a policy file may say, in TOML; whatever it leaves out keeps its default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    thresholds: dict[FlaggedCode, Annotated[float, Field(gt=0, le=1)]] = {}
    severities: dict[FlaggedCode, Severity] = {}
    judged_speakers: Annotated[frozenset[Speaker], Field(min_length=1)] | None = None
    second_view: bool | None = None


def parse_policy(toml: str, thresholds: Mapping[str, float]) -> Policy:
    """Return the policy that `toml` describes; `thresholds` are the bundle's, by label.

    Raises ConfigurationError that names the field and what is wrong with it.
    """
    try:
        given = PolicyFile.model_validate(tomllib.loads(toml))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"policy: not valid TOML: {error}") from None
    except ValidationError as error:
        reasons = (
            f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}"
            for detail in error.errors(include_url=False)
        )
        raise ConfigurationError(f"policy: {'; '.join(reasons)}") from None
    default = Policy(thresholds=dict(thresholds))
    label_of = {code: label for label, code in LABEL_CODES.items()}
    changes = given.model_dump(exclude_none=True)
    for name in ("thresholds", "severities"):
        own = {label_of[code]: value for code, value in changes[name].items()}
        changes[name] = {**getattr(default, name), **own}
    return default.model_copy(update=changes)


Skip = Literal["skipped_partial", "skipped_role"]


def skip_reason(utterance: Utterance, judged: frozenset[Speaker]) -> Skip | None:
    """Return why `utterance` is not judged, or None: partials and other speakers are not."""
    if not utterance.is_final:
        return "skipped_partial"
    return None if utterance.speaker in judged else "skipped_role"


def decide(scores: Scores, thresholds: Mapping[str, float]) -> Verdict:
    """Return the verdict for one row of scores.

    Of the labels whose score reaches their threshold the likelier one is flagged; none: 정상.
    """
    by_label = {label: float(score) for label, score in zip(LABELS, scores, strict=True)}
    reached = [label for label in FLAGGED_LABELS if by_label[label] >= thresholds[label]]
    label = max(reached, key=by_label.__getitem__, default=NORMAL)
    return Verdict(
        label=label, score=by_label[label], scores=by_label, threshold=thresholds.get(label)
    )


def decide_views(views: Sequence[Scores], thresholds: Mapping[str, float]) -> Verdict:
    """Return the verdict for the scores of one utterance's views: that of the most abusive view.

    How abusive a view is: the greatest ratio of a flagged label's score to its threshold. So a view
    that is flagged beats one that is not; of equals the first wins.
    """

    def abuse(scores: Scores) -> float:
        by_label = dict(zip(LABELS, scores, strict=True))
        return max(float(by_label[label]) / thresholds[label] for label in FLAGGED_LABELS)

    return decide(max(views, key=abuse), thresholds)
