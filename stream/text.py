"""One normaliser for training and serving alike, and the masking of flagged text.

A model reads what it was trained on: a text must pass `normalise` in the same version on both
sides, so the bundle's manifest carries `NORMALISER_VERSION` and the worker refuses another.
"""

import re
import unicodedata

NORMALISER_VERSION = "1"

# The alphabet of KcBERT's published cleaning step: ASCII, compatibility jamo and syllables
# (U+3131 to U+D7A3 is its range; we keep only the Hangul blocks inside it) and a few signs.
_OUTSIDE_ALPHABET = re.compile(r"[^\x21-\x7Eㄱ-ㆎ가-힣·∼％]+")
# Runs are cut before URLs go: the other way round "htttp://" would turn into a URL afterwards
# and a second pass would change the text again. So "www." arrives here as "ww.".
_RUN = re.compile(r"(.)\1{2,}")
_URL = re.compile(r"(?:https?://|www?\.)[\x21-\x7E]+", re.IGNORECASE)


def normalise(text: str) -> str:
    """Return `text` as the model reads it; idempotent, total, linear in the length of `text`.

    Unicode NFC; characters outside the alphabet (emoji, other scripts, control characters)
    become a space; runs of one character are cut to two; URLs go; white space is folded.
    """
    text = unicodedata.normalize("NFC", text)
    text = _OUTSIDE_ALPHABET.sub(" ", text)
    text = _RUN.sub(r"\1\1", text)
    text = _URL.sub(" ", text)
    return " ".join(text.split())


_WORD_REST = re.compile(r"(?<=\S)\S")
_DIGIT = re.compile(r"\d")


def mask(text: str) -> str:
    """Return `text` with every digit and all but the first character of each word hidden.

    What is left tells a supervisor who knows the call which sentence it was, and nobody else
    what was said.
    """
    return _WORD_REST.sub("○", _DIGIT.sub("○", text))
