"""How a stem may be written: finds spellings of the table's stems in decomposed Hangul.

A stem is a row of syllables. Each may be whole, in a like sound, drawn out, in single jamo, cut to
its initial consonant, in look-alikes or in Latin letters; a gap of symbols, digits or white space
may stand before it. What is tried at a place depends on the one or two characters there, and every
quantifier is bounded, so finding is linear in the length of the text.
"""

import itertools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from stream.stems import ALIASES, STEMS, Stem

ONSETS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
CODAS = "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
SYMBOL = r"[!-/0-9:-@\[-`{-~·∼％xX]"
GAP = rf"(?:{SYMBOL}{{1,6}}|[ ∼]{{1,3}})"

_TENSE = dict(zip("ㄱㄷㅂㅅㅈㄲㄸㅃㅆㅉ", "ㄲㄸㅃㅆㅉㄱㄷㅂㅅㅈ", strict=True))
# The first of each may sound like the others.
_LIKE_VOWELS = {
    like[0]: like
    for like in (
        *("ㅏㅑㅓㅘ", "ㅐㅔㅒㅖㅙㅞㅚ", "ㅓㅕ", "ㅔㅐㅖㅒㅞ", "ㅕㅓㅛㅠㅟㅑㅣㅐㅖㅞ"),
        *("ㅗㅛ", "ㅜㅠㅡ", "ㅡㅠㅢ", "ㅣㅟㅢㅡㅠ"),
    )
}
_LIKE_CODAS = {"ㅈ": "ㅈㅊㅅㄷ", "ㄱ": "ㄱㄲㅋ"}
# A drawn-out syllable goes on with its vowel alone: 벼어엉, 새애끼, 미이친.
_ECHO = dict(zip("ㅑㅒㅕㅖㅘㅛㅝㅞㅟㅠㅢㅐㅔ", "ㅏㅐㅓㅔㅏㅗㅓㅔㅣㅜㅣㅔㅐ", strict=True))
# What single jamo are drawn with: ^^ㅣ발, 새77ㅣ, ㅂr보, ㄱH.
_ONSET_SHAPES = {"ㅅ": "^", "ㅆ": "^^", "ㄱ": "7", "ㄲ": "77", "ㅇ": "o", "ㅈ": "Z"}
_VOWEL_SHAPES = {"ㅣ": "il1|!", "ㅏ": "r", "ㅐ": "H"}
# The keys of the Korean keyboard; "" is the coda that is not there.
_KEYS = {
    "": "",
    **dict(zip(ONSETS, "rRseEfaqQtTdwWczxvg", strict=True)),
    **dict(zip("ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅛㅜㅠㅡㅣ", "koiOjpuPhynbml", strict=True)),
    **dict(zip("ㅘㅙㅚㅝㅞㅟㅢ", ("hk", "ho", "hl", "nj", "np", "nl", "ml"), strict=True)),
}
# How a syllable is written in Latin letters; a lone c or g stands for it only before Hangul.
_LATIN: dict[str, tuple[str, ...]] = {
    "씨": ("ssi", "c(?=[ᄀ-ᄒ])", "C(?=[ᄀ-ᄒ])"),
    "시": ("ss?i", "shi"),
    "발": ("bal", "val"),
    "병": ("by[eu]o?ng",),
    "신": ("ss?h?in",),
    "지": ("ji", "g(?=[ᄀ-ᄒ])", "G(?=[ᄀ-ᄒ])"),
    "랄": ("ral",),
    "개": ("gae",),
    "새": ("sae",),
    "끼": ("kk?i", "ggi"),
    "미": ("mi",),
    "친": ("chin",),
    "존": ("jon", "zon"),
    "나": ("nar?",),
    "쳐": ("chu", "chyeo"),
    "좆": ("jott?", "JOTT?"),
    "모": ("mo(?=[ᄀ-ᄒ])",),
    "동": ("dong",),
    "팬": ("pan",),
    "티": ("t[iㅣ]",),
}


def decompose(text: str) -> str:
    """Return `text` with its syllables taken apart; single jamo stay what they are."""
    return unicodedata.normalize("NFD", text)


def compose(text: str) -> str:
    """Return decomposed `text` with its syllables put together."""
    return unicodedata.normalize("NFC", text)


@dataclass(frozen=True)
class Spelling:
    """One way to write a stem: a pattern for each of its syllables."""

    stem: Stem
    plain: str
    """What it says."""
    slots: tuple[re.Pattern[str], ...]
    loose: bool = False
    by_initials: bool = False
    alias: bool = False
    """Whether it stands for itself, whatever its stem says of neighbours."""

    def end(self, flat: str, at: int) -> int | None:
        """Return where the spelling that begins at `at` ends, or None where there is none."""
        for slot in self.slots:
            found = slot.match(flat, at)
            if not found:
                return None
            at = found.end()
        return at


def spellings_from(flat: str) -> Iterator[tuple[int, int, Spelling]]:
    """Yield (start, end, spelling) of all spellings in decomposed text.

    In the order of their starts; of those that begin at one place the longest first, and of
    equally long ones those that vary no sound.
    """
    # Starts cannot overlap: one is an onset and its vowel, or a single letter.
    for opening in _START.finditer(flat):
        start = opening.start()
        found = [
            (start, end, spelling)
            for spelling in _BY_START[opening[0]]
            if (end := spelling.end(flat, start))
        ]
        yield from sorted(found, key=lambda found: (-found[1], found[2].loose))


def _parts(syllable: str) -> tuple[str, str, str]:
    """Return onset, vowel and coda (or nothing) of a Hangul syllable, as letters."""
    code = ord(syllable) - 0xAC00
    coda = code % 28
    return ONSETS[code // 588], VOWELS[code % 588 // 28], CODAS[coda - 1] if coda else ""


@cache
def _slot(syllable: str, loose: str, final: bool) -> tuple[str, frozenset[str]]:
    """Return the pattern of a syllable, and the one or two characters that can open it."""
    if not _is_hangul(syllable):
        return f"[{syllable}*]", frozenset(syllable)
    onset, vowel, coda = _parts(syllable)
    onsets = onset + _TENSE.get(onset, "") if loose else onset
    vowels = _LIKE_VOWELS.get(vowel, vowel) if loose else vowel
    codas = _LIKE_CODAS.get(coda, coda) if loose else coda
    echo = "".join(sorted({sound for v in vowels for sound in v + _ECHO.get(v, "")}))
    first, second = _joining(onsets, ONSETS, 0x1100), _joining(vowels, VOWELS, 0x1161)
    last = _joining(codas, CODAS, 0x11A8)
    # One more vowel after an open end is more likely a particle: 새끼이다.
    times = "{2,8})?" if final and not coda else "{0,8})"
    core = f"[{first}][{second}](?:(?:{GAP}?ᄋ[{_joining(echo, VOWELS, 0x1161)}]){times}"
    whole = core + (f"(?:[{last}]| ?[{codas}](?![ㅏ-ㅣ]))" if coda else "(?![ᆨ-ᇂ])")
    if loose and onset != "ㅇ":
        # It may be said over and over: 지라라라랄. (With ㅇ that is drawing out.)
        whole = f"(?:{core}{f'[{last}]?' if coda else ''}){{0,3}}{whole}"
    shapes = [*onsets, *(_ONSET_SHAPES[o] for o in onsets if o in _ONSET_SHAPES)]
    strokes = vowels + "".join(_VOWEL_SHAPES.get(v, "") for v in vowels)
    single = f"(?:{'|'.join(map(re.escape, shapes))})[{strokes}](?:ㅇ?[{echo}]){{0,8}}"
    single += f"[{codas}](?![ㅏ-ㅣ])" if coda else ""
    # ㅋㅋ, ㅎㅎ and ㄷㄷ are laughter and shudder.
    cut = "(?!)" if onset in "ㅋㅎ" else f"{onset}(?![ㅏ-ㅣ{onset}])"
    latin = _LATIN.get(syllable, ())
    starts = {o + v for o, v in itertools.product(first, second)}
    starts |= {shape[0] for shape in shapes} | {letters[0] for letters in latin}
    return "|".join([whole, single, cut, *latin]), frozenset(starts)


@cache
def _after_gap(slot: str) -> re.Pattern[str]:
    # Without a gap first: the 77 of 새77ㅣ belongs to the next syllable.
    return re.compile(f"{slot}|{GAP}(?:{slot})")


def _row(slots: Sequence[str]) -> tuple[re.Pattern[str], ...]:
    """Return the patterns of syllables that follow each other, with gaps between."""
    return re.compile(slots[0]), *map(_after_gap, slots[1:])


def _is_hangul(text: str) -> bool:
    return "가" <= text[0] <= "힣"


def _joining(letters: str, row: str, base: int) -> str:
    """Return the conjoining jamo of `letters`: their block begins at `base`, in `row`'s order."""
    return "".join(chr(base + row.index(letter)) for letter in letters)


def _spellings(stem: Stem) -> Iterator[tuple[Spelling, frozenset[str]]]:
    """Yield every spelling of `stem` with what can open it."""
    for written in (*stem.forms, *stem.spelled.split()):
        plain = written if written in stem.forms else stem.forms[0]
        marked = re.findall("([^~])(~?)", written)
        slots = [
            _slot(syllable, loose, final=number == len(marked))
            for number, (syllable, loose) in enumerate(marked, start=1)
        ]
        row = _row([pattern for pattern, _ in slots])
        yield Spelling(stem, plain, row, loose="~" in written), slots[0][1]
    for initials in stem.initials.split():
        meant = (f for f in stem.forms if initials == "".join(_parts(s)[0] for s in f))
        plain = next(meant, stem.forms[0])
        row = _row([initial + "(?![ㅏ-ㅣ])" for initial in initials])
        yield Spelling(stem, plain, row, by_initials=True), frozenset(initials[0])
    # What is typed without switching the keyboard to Hangul: tlqkf.
    for plain in filter(_is_hangul, stem.forms):
        keys = "".join(_KEYS[letter] for s in plain for letter in _parts(s))
        if len(keys) >= 4:
            yield Spelling(stem, plain, (re.compile(keys),), alias=True), frozenset(keys[0])


def _by_start() -> dict[str, tuple[Spelling, ...]]:
    """Return the spellings by what opens them."""
    table = defaultdict(list)
    for plain, start, rest in ALIASES:
        pattern = re.compile(decompose(re.escape(start) + rest))
        spelling = Spelling(Stem(plain), plain, (pattern,), alias=True)
        table[decompose(start)[:2] if _is_hangul(start) else start[0]].append(spelling)
    for stem in STEMS:
        for spelling, starts in _spellings(stem):
            for start in starts:
                table[start].append(spelling)
    return {start: tuple(found) for start, found in table.items()}


_BY_START = _by_start()
_ONES = "".join(re.escape(start) for start in _BY_START if len(start) == 1)
_PAIRS = itertools.groupby(sorted(start for start in _BY_START if len(start) == 2), lambda s: s[0])
_START = re.compile(
    "|".join([f"[{_ONES}]", *(f"{first}[{''.join(s[1] for s in all_)}]" for first, all_ in _PAIRS)])
)
