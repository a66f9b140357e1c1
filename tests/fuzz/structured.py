"""Inputs that hypothesis makes: any JSON value in any field, any text, any manifest."""

import json
from typing import Any

from hypothesis import strategies as st

from stream.schema import Utterance
from tests import build
from tests.fuzz.mutate import ATOMS, MARK
from tests.fuzz.seeds import FILES, MANIFEST, MANIFEST_BYTES, NAMES, ODD
from tests.fuzz.targets import BundleCase

_scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.just(MARK)
)
_json = st.recursive(
    _scalars | st.sampled_from(ODD),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)


def _bytes(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode(errors="surrogatepass")


texts = st.one_of(
    st.text(), st.lists(st.one_of(st.sampled_from(ATOMS), st.text(max_size=3))).map("".join)
)
records: st.SearchStrategy[tuple[bytes | None, bytes | None]] = st.tuples(
    st.sampled_from((b"call", b"", None)),
    st.fixed_dictionaries(
        {"text": texts},
        optional={name: _json for name in Utterance.model_fields if name != "text"},
    ).map(lambda changes: _bytes({**build.utterance(MARK), **changes}))
    | _json.map(_bytes),
)


def _with(changes: dict[str, Any]) -> BundleCase:
    return BundleCase(_bytes({**MANIFEST, **changes}), dict(FILES))


_golden = st.fixed_dictionaries(
    {"text": texts, "scores": st.lists(st.floats() | st.floats(0, 1), max_size=4)}
)
bundles = st.one_of(
    st.dictionaries(st.sampled_from(sorted(MANIFEST)), _json, min_size=1, max_size=3).map(_with),
    st.lists(_golden, max_size=3).map(lambda golden: _with({"golden": golden})),
    st.dictionaries(st.sampled_from(NAMES) | st.text(), st.text(max_size=64)).map(
        lambda files: _with({"files": {**MANIFEST["files"], **files}})
    ),
    st.binary(max_size=len(MANIFEST_BYTES)).map(lambda content: BundleCase(content, dict(FILES))),
)
