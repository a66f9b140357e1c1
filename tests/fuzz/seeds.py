"""Valid records, texts and bundles, to be broken; texts hold MARK, golden ones GOLDEN."""

import hashlib
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stream.bundle import MODEL, TOKENIZER
from stream.schema import LABELS
from stream.text import NORMALISER_VERSION
from tests import build
from tests.fuzz import mutate
from tests.fuzz.mutate import GOLDEN, MARK
from tests.fuzz.targets import MAX_RECORD_BYTES, BundleCase

_LINES = Path(__file__).parents[1] / "unit"
TEXTS: Sequence[str] = [
    *(_LINES / "hard_negatives.txt").read_text(encoding="utf-8").splitlines(),
    *(
        line.split("\t")[0]
        for line in (_LINES / "hidden_stems.tsv").read_text(encoding="utf-8").splitlines()
    ),
]

RECORDS: Sequence[bytes] = [
    build.value(f"{MARK} 배송이 늦어요"),
    build.value(f"시1발 {MARK}", call_id=MARK, utterance_id=f"u {MARK}", agent_id=MARK),
    build.value(f"{MARK} ***", seq=7, speaker="agent", is_final=False, asr_confidence=0.25),
    build.value(MARK, ended_at="2026-11-25T00:00:01.5Z", queue=MARK, other={"a": [1, 2.5, None]}),
    build.value("", speaker="unknown", asr_confidence=1, mark=MARK),
    json.dumps(build.utterance(f"{MARK} ㅅㅂ 😀")).encode(),
]

# What stands in a field's place where a source is broken or means harm.
ODD: Sequence[Any] = (
    *(None, True, False, 0, -1, 1.5, 1e308, 2**63, 2**64, 10**400, "", " ", MARK, [], {}),
    *([MARK], {MARK: MARK}, "1", "true", "nan", "2026-11-25", "2026-11-25T25:00:00Z", "\u0000"),
    *("2026-11-25T09:00:00+99:00", "9999-12-31T23:59:60Z", f"{MARK}T00:00:00Z", "0000-01-01T00Z"),
    *("가" * 300, MARK * 40, "e\u0301" * 200, "\u200b", float("nan"), float("inf"), [[[[]]]]),
)

FILES: dict[str, bytes | None] = {MODEL: b"model " * 20, TOKENIZER: b'{"tokenizer": 1}'}
_HASHES = {name: hashlib.sha256(content or b"").hexdigest() for name, content in FILES.items()}
MANIFEST: dict[str, Any] = {
    "format_version": 1,
    "name": "tiny",
    "version": "1",
    "base_model": "none",
    "labels": list(LABELS),
    "max_length": 128,
    "normaliser_version": NORMALISER_VERSION,
    "thresholds": {"욕설": 0.5, "성희롱": 0.5},
    "precision": "int8",
    "opset": 17,
    "files": _HASHES,
    "golden": [
        {"text": f"{GOLDEN} 가", "scores": [0.9, 0.05, 0.05]},
        {"text": f"나 {GOLDEN}", "scores": [0.1, 0.8, 0.1]},
    ],
    "golden_tolerance": 0.01,
    "metrics": {"f1": 0.5},
    "training": {"seed": 1},
}
MANIFEST_BYTES = json.dumps(MANIFEST, ensure_ascii=False).encode()

NAMES: Sequence[str] = (
    *(
        "",
        ".",
        "..",
        "../x",
        "/etc/passwd",
        "a/../../b",
        "a\x00b",
        "x" * 300,
        "a/" * 200,
        "\\",
        "~",
    ),
    *(
        "manifest.json",
        "model.onnx/",
        "./model.onnx",
        "C:\\x",
        "\u202e",
        "가\u0301",
        "con",
        "/",
        "//",
    ),
)
LINKS: Sequence[str] = ("model.onnx", "/etc/passwd", "../x", ".", "tokenizer.json", "nowhere", "/")


def record(rng: random.Random) -> tuple[bytes | None, bytes | None]:
    """Return key and value of a record, broken or not."""
    kind = rng.random()
    key = None if rng.random() < 0.005 else rng.choice((b"call", b"", b"\xff", MARK.encode()))
    if kind < 0.55:
        return key, mutate.mutated(rng, rng.choice(RECORDS), RECORDS)
    if kind < 0.95:
        document = json.loads(rng.choice(RECORDS))
        for _ in range(rng.choice((0, 1, 1, 2))):
            document[rng.choice([*document, "seq", "ended_at", "queue"])] = rng.choice(ODD)
        if rng.random() < 0.5:
            document["text"] = mutate.text(rng, TEXTS) + MARK
        return key, _encoded(rng, document)
    if kind < 0.99:
        return key, mutate.random_bytes(rng)
    large = rng.choice((0, MAX_RECORD_BYTES - 200, MAX_RECORD_BYTES + 1))
    return key, build.value(MARK + "가a1 "[rng.randrange(4)] * (large // 3)) if large else None


def _encoded(rng: random.Random, document: dict[str, Any]) -> bytes:
    """Return `document` as JSON, escaped or not; at times with a key twice."""
    made = json.dumps(document, ensure_ascii=rng.random() < 0.5)
    if rng.random() < 0.1:
        again = json.dumps({rng.choice(list(document)): rng.choice(ODD)})
        made = f"{made[:-1]}, {again[1:]}"
    return made.encode(errors="surrogatepass")


def bundle(rng: random.Random) -> BundleCase:
    """Return a bundle of which one part is broken: its manifest, a name, a file, a link."""
    kind = rng.random()
    if kind < 0.5:
        broken = mutate.mutated(rng, MANIFEST_BYTES, [MANIFEST_BYTES, *RECORDS])
        return BundleCase(broken, dict(FILES))
    document = json.loads(MANIFEST_BYTES)
    if kind < 0.75:
        return BundleCase(_encoded(rng, _odd(rng, document)), dict(FILES))
    if kind < 0.85:
        name = rng.choice((rng.choice(NAMES), mutate.text(rng, TEXTS)))
        document["files"][name] = rng.choice((_HASHES[MODEL], "", MARK))
        return BundleCase(_encoded(rng, document), dict(FILES))
    if kind < 0.95:
        files = dict(FILES)
        name = rng.choice((MODEL, TOKENIZER))
        files[name] = rng.choice((None, b"", mutate.mutated(rng, FILES[name] or b"", [b"\x00"])))
        return BundleCase(MANIFEST_BYTES, files)
    return BundleCase(MANIFEST_BYTES, {TOKENIZER: FILES[TOKENIZER]}, rng.choice(LINKS))


def _odd(rng: random.Random, document: dict[str, Any]) -> dict[str, Any]:
    """Return `document` with an odd value in the place of one, at any depth, or with one more."""
    place: Any = document
    for _ in range(rng.randrange(4)):
        inner = place.values() if isinstance(place, dict) else place
        deeper = [child for child in inner if isinstance(child, dict | list) and child]
        place = rng.choice(deeper) if deeper else place
    if isinstance(place, dict):
        place[rng.choice([*place, "more", MARK])] = rng.choice(ODD)
    else:
        place[rng.randrange(len(place))] = rng.choice(ODD)
        if rng.random() < 0.2:
            place.append(rng.choice(ODD))
    return document
