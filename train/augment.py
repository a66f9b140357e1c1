"""Writes a text as callers evade filters and as recognisers mishear: for training and its report.

Every perturbation is a pure function of a text and a random generator, keeps the label, and
applies to harmless text as it does to abusive: a model that saw dots inside swear words only
would learn that dots are abuse. Where a text holds a word worth hiding, that word is hidden.
"""

import random
from collections.abc import Callable, Mapping, Sequence

from stream.text import normalise

_FIRST = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_VOWEL = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_LAST = ("", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ")

_HIDDEN_WORDS = (
    "씨발놈 씨발년 씨발 시발 씨바 시바 씹 좆같 좆 개새끼 개새 새끼 병신 븅신 지랄 염병 미친놈 "
    "미친년 미친 꺼져 닥쳐 죽여 뒈져 대가리 아가리 쌍놈 썅 개년 년 존나 졸라 개소리 엿 섹스 "
    "섹시 가슴 엉덩이 몸매 속옷 팬티 벗어 키스 뽀뽀 모텔 야동 자자 만져 빨아 따먹 자위 걸레 "
    "창녀 꼴려"
)
# What people hide from a filter, longest first so that 씨발놈 goes before 씨발.
_HIDDEN = sorted(_HIDDEN_WORDS.split(), key=len, reverse=True)
_INITIALS = {
    "씨발": "ㅆㅂ",
    "시발": "ㅅㅂ",
    "병신": "ㅂㅅ",
    "지랄": "ㅈㄹ",
    "새끼": "ㅅㄲ",
    "꺼져": "ㄲㅈ",
    "닥쳐": "ㄷㅊ",
    "미친": "ㅁㅊ",
    "존나": "ㅈㄴ",
    "졸라": "ㅈㄹ",
    "섹스": "ㅅㅅ",
    "가슴": "ㄱㅅ",
    "감사": "ㄱㅅ",
    "죄송": "ㅈㅅ",
    "응": "ㅇㅇ",
    "아니": "ㄴㄴ",
    "오케이": "ㅇㅋ",
    "수고": "ㅅㄱ",
    "진짜": "ㅈㅉ",
    "그래": "ㄱㄹ",
}
_SOUNDS_AS_DIGIT = {"일": "1", "이": "2", "삼": "3", "사": "4", "오": "5", "육": "6", "칠": "7"}
_SOUNDS_AS_DIGIT |= {"발": "8", "팔": "8", "구": "9", "영": "0", "공": "0"}
_LOOKS_AS_VOWEL = {"ㅏ": "r", "ㅣ": "l", "ㅓ": "l"}
_MISHEARD_FIRST = {"ㄱ": "ㄲ", "ㄷ": "ㄸ", "ㅂ": "ㅃ", "ㅅ": "ㅆ", "ㅈ": "ㅉ"}
_MISHEARD_FIRST |= {loud: plain for plain, loud in _MISHEARD_FIRST.items()}
_MISHEARD_FIRST |= {"ㅊ": "ㅈ", "ㅋ": "ㄱ", "ㅌ": "ㄷ", "ㅍ": "ㅂ"}
_MISHEARD_VOWEL = {
    "ㅐ": "ㅔ",
    "ㅔ": "ㅐ",
    "ㅚ": "ㅙ",
    "ㅙ": "ㅚ",
    "ㅞ": "ㅙ",
    "ㅒ": "ㅖ",
    "ㅖ": "ㅔ",
    "ㅢ": "ㅣ",
}
_FILLERS = ("어", "음", "그", "저", "저기", "아니", "뭐", "막", "그니까", "에")


def _syllable(character: str) -> tuple[str, str, str] | None:
    """Return first consonant, vowel and last consonant of a Hangul syllable, else None."""
    index = ord(character) - ord("가")
    if not 0 <= index < 11172:
        return None
    return _FIRST[index // 588], _VOWEL[index % 588 // 28], _LAST[index % 28]


def _compose(first: str, vowel: str, last: str) -> str:
    index = _FIRST.index(first) * 588 + _VOWEL.index(vowel) * 28 + _LAST.index(last)
    return chr(ord("가") + index)


def _target(text: str, rng: random.Random, longest: int = 4) -> tuple[int, int] | None:
    """Return the span to change: a word worth hiding, else a piece of any Hangul word."""
    for word in _HIDDEN:
        at = text.find(word)
        if at >= 0:
            return at, at + len(word)
    spans = []
    start = 0
    for word in text.split(" "):
        if len(word) >= 2 and all(_syllable(character) for character in word):
            spans.append((start, start + min(len(word), longest)))
        start += len(word) + 1
    return rng.choice(spans) if spans else None


def spacing(text: str, rng: random.Random) -> str:
    """Drop or insert single spaces, as recognisers place them anywhere."""
    characters = []
    for index, character in enumerate(text):
        if character == " " and rng.random() < 0.5:
            continue
        characters.append(character)
        inside = character != " " and text[index + 1 : index + 2] not in ("", " ")
        if inside and rng.random() < 0.12:
            characters.append(" ")
    return "".join(characters)


def jamo(text: str, rng: random.Random) -> str:
    """Spell one word letter by letter: 시발 as ㅅㅣㅂㅏㄹ."""
    return _rewrite(text, rng, lambda word: "".join("".join(_syllable(c) or (c,)) for c in word))


def initials(text: str, rng: random.Random) -> str:
    """Abbreviate one word that people do abbreviate to its first consonants: 시발 as ㅅㅂ."""
    found = [word for word in _INITIALS if word in text]
    if not found:
        return text
    word = rng.choice(found)
    return text.replace(word, _INITIALS[word], 1)


def digits(text: str, rng: random.Random) -> str:
    """Put a digit inside one word: 시1발."""
    return _rewrite(text, rng, lambda word: _between(word, rng.choice("123478"), rng))


def dots(text: str, rng: random.Random) -> str:
    """Put a sign, or a space, between the syllables of one word: 시.발, 개 새 끼."""
    sign = rng.choice((".", ",", "-", "/", "~", "!", " "))
    return _rewrite(text, rng, lambda word: sign.join(word))


def lookalike(text: str, rng: random.Random) -> str:
    """Write one word with letters and digits that look or sound alike: ㅅl발, 시8, ㅂr보."""

    def look(word: str) -> str:
        choices = []
        for index, character in enumerate(word):
            parts = _syllable(character)
            if character in _SOUNDS_AS_DIGIT:
                choices.append((index, _SOUNDS_AS_DIGIT[character]))
            elif parts and parts[1] in _LOOKS_AS_VOWEL:
                choices.append((index, parts[0] + _LOOKS_AS_VOWEL[parts[1]] + parts[2]))
        if not choices:
            return word
        index, looks = rng.choice(choices)
        return word[:index] + looks + word[index + 1 :]

    return _rewrite(text, rng, look)


def filler(text: str, rng: random.Random) -> str:
    """Insert one or two filled pauses between words."""
    words = text.split(" ")
    for _ in range(rng.choice((1, 2))):
        words.insert(rng.randrange(len(words) + 1), rng.choice(_FILLERS))
    return " ".join(words)


def misheard(text: str, rng: random.Random) -> str:
    """Change the sound of one or two syllables to a neighbouring one: 내 and 네, 빼 and 배."""
    characters = list(text)
    places = [i for i, character in enumerate(characters) if _syllable(character)]
    for index in rng.sample(places, min(len(places), 1 + len(places) // 12)):
        parts = _syllable(characters[index])
        assert parts is not None
        first, vowel, last = parts
        if vowel in _MISHEARD_VOWEL:
            vowel = _MISHEARD_VOWEL[vowel]
        elif first in _MISHEARD_FIRST:
            first = _MISHEARD_FIRST[first]
        elif last in ("ㅎ", "ㅀ", "ㄶ"):
            last = {"ㅎ": "", "ㅀ": "ㄹ", "ㄶ": "ㄴ"}[last]
        characters[index] = _compose(first, vowel, last)
    return "".join(characters)


def _between(word: str, sign: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(word)) if len(word) > 1 else len(word)
    return word[:at] + sign + word[at:]


def _rewrite(text: str, rng: random.Random, write: Callable[[str], str]) -> str:
    span = _target(text, rng)
    if span is None:
        return text
    start, end = span
    return text[:start] + write(text[start:end]) + text[end:]


PERTURBATIONS: Mapping[str, Callable[[str, random.Random], str]] = {
    "spacing": spacing,
    "jamo": jamo,
    "initials": initials,
    "digits": digits,
    "dots": dots,
    "lookalike": lookalike,
    "filler": filler,
    "misheard": misheard,
}

# Spacing, fillers and mishearing are everyday speech recognition; evasion is rarer. Wrong spacing
# and spelling letter by letter cost the most recall.
_WEIGHTS: Sequence[int] = (6, 2, 1, 1, 2, 1, 3, 3)


def augment(text: str, rng: random.Random, rate: float) -> str:
    """Return `text`, with probability `rate` perturbed in one way, normalised as served text is."""
    if rng.random() >= rate:
        return text
    (perturb,) = rng.choices(list(PERTURBATIONS.values()), _WEIGHTS)
    return normalise(perturb(text, rng)) or text
