"""What is fuzzed, and what must hold of it. Each function returns an outcome or raises."""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from stream import health
from stream.bundle import MANIFEST, MODEL, TOKENIZER, check_golden, read_bundle
from stream.deobfuscate import MAX_CHARACTERS, deobfuscate, second_views
from stream.errors import BadRecordError, BundleError
from stream.messages import dead_letter_message, flag_message
from stream.policy import decide, parse_policy
from stream.schema import Utterance, parse_utterance
from stream.text import mask, normalise
from tests import build
from tests.fuzz.mutate import GOLDEN, MARK
from tests.fuzz.report import BrokenError, refuse

MAX_RECORD_BYTES = 65_536
_NORMALISED = re.compile(r"[\x20-\x7Eㄱ-ㆎ가-힣·∼％]*")
_SPOKEN = Utterance.model_validate(build.utterance())
_FLAGGED = decide((0.05, 0.9, 0.05), build.policy().thresholds)


def examine_record(key: bytes | None, value: bytes | None) -> str:
    """Parse a record and do with it what a judge does; only BadRecordError is an answer."""
    record = build.record(value, key)
    try:
        utterance = parse_utterance(key, value, MAX_RECORD_BYTES)
    except BadRecordError as error:
        letter = dead_letter_message(record, error, "parse", build.outbox())
        if any(MARK.encode() in said for _, said in letter.headers):
            raise BrokenError("a dead letter's header quotes the record") from None
        return refuse(error)
    list(health.signs(utterance))
    examine_text(utterance.text)
    flag_message(record, utterance, _FLAGGED, build.policy(), build.outbox(), utterance.started_at)
    return type(utterance).__name__


def examine_text(text: str) -> str:
    """Normalise, mask and view a text; any text has all of these."""
    once = normalise(text)
    _hold("the normaliser is idempotent", once == normalise(once))
    _hold("what is normalised is in the alphabet", _NORMALISED.fullmatch(once) is not None)
    _hold("white space is folded", once == " ".join(once.split()))
    masked = mask(text)
    _hold("a mask keeps the length", len(masked) == len(text))
    _hold("a mask keeps no digit", re.search(r"\d", masked) is None)
    _hold(
        "a mask keeps the white space",
        [c.isspace() for c in masked] == [c.isspace() for c in text],
    )
    list(health.signs(_SPOKEN.model_copy(update={"text": text})))
    view = second_views([text]).get(0)
    if view is None:
        return "one view"
    _hold("a view is normalised", view == normalise(view))
    _hold("a view is short", len(view) <= 2 * len(text[:MAX_CHARACTERS]))
    # Not a fault where over MAX_PASSES rewritings each hang on the one before; counted, to see.
    return "second view" if view == deobfuscate(view) else "second view that goes on"


@dataclass(frozen=True)
class BundleCase:
    """A manifest's bytes, and files as they lie beside it: bytes, or None for one that is not."""

    manifest: bytes
    files: dict[str, bytes | None]
    link: str | None = None
    """Where `model.onnx` points, where it is a link."""


class BundleTarget:
    """Reads bundles from a directory of its own, which is gone after the context."""

    def __init__(self) -> None:
        self._made = tempfile.TemporaryDirectory(prefix="kcguard-fuzz-")
        self._directory = Path(self._made.name) / "bundle"

    def __enter__(self) -> Self:
        self._directory.mkdir()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._made.cleanup()

    def examine(self, case: BundleCase) -> str:
        """Read the bundle and use it as a worker does; only BundleError is an answer."""
        (self._directory / MANIFEST).write_bytes(case.manifest)
        for name, content in case.files.items():
            if content is not None:
                (self._directory / name).write_bytes(content)
        if case.link is not None:
            (self._directory / MODEL).unlink(missing_ok=True)
            (self._directory / MODEL).symlink_to(case.link)
        try:
            return self._read(case)
        finally:
            for name in (MODEL, TOKENIZER):
                (self._directory / name).unlink(missing_ok=True)

    def _read(self, case: BundleCase) -> str:
        try:
            bundle = read_bundle(self._directory)
        except BundleError as error:
            return refuse(error, GOLDEN)
        manifest = bundle.manifest
        _hold("what was verified is what is used", bundle.model == case.files.get(MODEL))
        parse_policy("", manifest.thresholds)
        manifest.identity()
        seen = np.array([golden.scores for golden in manifest.golden], np.float32)
        check_golden(manifest, seen)
        for wrong in (seen[-1, -1] + 2 * manifest.golden_tolerance, np.nan):
            seen[-1, -1] = wrong
            try:
                check_golden(manifest, seen)
            except BundleError as error:
                refuse(error, GOLDEN)
            else:
                raise BrokenError("a golden score that is off passes")
        return type(bundle).__name__


def _hold(contract: str, holds: bool) -> None:
    if not holds:
        raise BrokenError(f"does not hold: {contract}")
