"""The second view of an utterance: hidden spellings of abusive stems undone, all else left alone.

`spellings` finds what could be a stem; here its neighbours decide. A find is rewritten only where
neither side makes an innocent word of it: 다 시 발송, 병 신청, 보지 않아 stay as they are.
"""

import itertools
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from stream.spellings import ONSETS, SYMBOL, VOWELS, Spelling, compose, decompose, spellings_from
from stream.stems import STEMS, Stem, any_of
from stream.text import normalise

MAX_PASSES = 8
"""Rewriting may lay bare a further stem. Two passes are usual; the bound keeps the time linear."""
MAX_CHARACTERS = 2048
"""Of a longer text only so much has a second view: no model reads more than 512 tokens."""

_PLAIN = frozenset(form for stem in STEMS for form in stem.forms)
_CONTEXT = 40
_ALL_APART = 5
# Stands for what the normaliser drops: it is in the normaliser's alphabet, and nobody types it.
_HIDDEN = "∼"
_LOOKALIKES = str.maketrans("口卜丨∧🖕凸аеорсхуі", "ㅁㅏㅣㅅㅗㅗaeopcxyi")
_SYLLABLE = "[ᄀ-ᄒ][ᅡ-ᅵ][ᆨ-ᇂ]?"
_SPACED_ON = re.compile(rf"(?: {_SYLLABLE}(?= |$))+")
_DOTTED_ON = re.compile(rf"(?:{SYMBOL}{{1,6}}{_SYLLABLE})+(?![ᄀ-ᇂ])")

# Who speaks of letters means the letters, and what follows a name or a code is one.
_ABOUT_LETTERS = any_of("초성 자음 모음 받침 이니셜 약자 글자")
_NAMED = re.compile(r"[-(]?[0-9]|이?라[고는]|으?로 시작|자[ 를]|\)")
# Initials behind initials make another abbreviation, unless the two are known to stand together.
_LONGER = re.compile("(?!ㄴ|ㅅㄲ|ㄹㅁ|ㅅㅂ|ㅆㅂ|ㅁㅊ|ㅂㅅ|ㅈㄹ|ㄱㅅㄲ|ㅋ|ㅎ|ㄻ)[ㄱ-ㅎ]")
# What an abusive word is glued to, and what calls for one.
_PREFIXES = any_of("개 야 이 아 런 에이 진짜 존나 왕 참 놈의 저 니 느")
_INTENSIFIERS = any_of("개 야")
_SHOUTS = any_of("야 아 이런 에이 어우 아우 아오 아놔 하 진짜 존나 에라 에라이")
_CALLS = _SHOUTS + any_of("이 와 참 저 니 너 개 그 왜 뭐 또 확")
# What may go on from a stem; anything else makes it the beginning of another word.
_ENDINGS = any_of(
    "놈 년 넘 녀 럼 련 롬 새 색 쉐 쉑 쌔 섀 아 야 이 들 것 같 가 는 은 을 를 의 도 만 네 냐 니 라 "
    "로 와 과 랑 에 하 해 했 한 할 함 합 허 혀 진 지 짓 질 까 거 게 요 임 인 좀 개 씨 시 병 미 존 "
    "면 며 다 던 버 줘 봐 보 벗 싶 데 죠 골 크 큰 커 사 맞 고 으"
)
# What shows abuse behind syllables with spaces between: someone it is said to, or rage.
_AIMED = re.compile(
    " ?(?:놈|년|넘|새끼|새 끼|것들|들 ?아|같|이냐|냐|하네|[가게] |"
    "[아야라](?![가-힣])(?! [가-힣](?: |$)))"
)
_RAGE = any_of(
    "진짜 왜 뭐 존나 짜증 개 야 너 니 이게 이거 몇 또 돌겠 미치 도대체 누가 장난 그만 느려 답답 "
    "비싸 불친절 열받 빡"
)


def deobfuscate(text: str) -> str:
    """Return `text` as it reads once hidden spellings of abusive stems are undone, normalised.

    Takes the raw text, since the normaliser drops what words are hidden with. Where no stem is
    hidden this is `normalise(text)`. Pure and total; linear in the length of `text`, and at most
    twice as long. A second application changes nothing, unless more than MAX_PASSES rewritings
    each hang on the one before.
    """
    for _ in range(MAX_PASSES):
        before, text = text, _rewrite(text)
        if before == text:
            break
    return text


def second_views(texts: Sequence[str]) -> dict[int, str]:
    """Return the second views that differ from the normalised text, by index.

    A view costs 0.1 to 0.3 ms for an utterance and at most 0.2 s for whatever a record may hold.
    """
    beginnings = [text[:MAX_CHARACTERS] for text in texts]
    views = {index: deobfuscate(text) for index, text in enumerate(beginnings)}
    return {index: view for index, view in views.items() if view != normalise(beginnings[index])}


def _rewrite(text: str) -> str:
    """Return `text` normalised, with the hidden stems that show at first sight written out."""
    plain = normalise(text)
    shown = normalise("".join(map(_shape, compose(text))))
    # 씨발 in full-width disguise already stands in `shown`, but not in `plain`.
    as_heard = _PLAIN if shown == plain else {s for s in _PLAIN if s not in shown or s in plain}
    quoted = any(word in shown for word in _ABOUT_LETTERS)
    flat = decompose(shown)
    pieces: list[str] = []
    before = ""
    done = free = 0
    for start, end, spelling in spellings_from(flat):
        if start < free:
            continue
        span = compose(flat[start:end])
        if span in as_heard:
            free = end
            continue
        left = before + compose(flat[max(done, start - _CONTEXT) : start])
        right = compose(flat[end : end + _CONTEXT])
        if not _hides(spelling, span, left, right, quoted):
            continue
        letters = _letters(span)
        stem = letters if letters in _PLAIN else spelling.plain
        if letters != span:
            more, end = _pulled_apart(flat, end, spaced=" " in span)
            stem += more
        pieces += [compose(flat[done:start]), stem]
        before = (left + stem)[-_CONTEXT:]
        done = free = end
    return normalise("".join([*pieces, flat[done:]]).replace(_HIDDEN, " ")) if done else plain


def _pulled_apart(flat: str, at: int, spaced: bool) -> tuple[str, int]:
    """Return what goes on behind `at`, pulled apart like the stem before it, put together; its end.

    개 새 끼 들 아, 씨.발.놈.아. Between spaces only endings belong to the stem, unless so much is
    pulled apart that all of it is.
    """
    rest = (_SPACED_ON if spaced else _DOTTED_ON).match(flat, at)
    if not rest:
        return "", at
    syllables = re.findall(_SYLLABLE, rest[0])
    if not spaced or len(syllables) >= _ALL_APART:
        return compose("".join(syllables)), rest.end()
    own = list(itertools.takewhile(lambda s: compose(s).startswith(_ENDINGS), syllables))
    return compose("".join(own)), at + sum(len(" ") + len(syllable) for syllable in own)


def _letters(span: str) -> str:
    return re.sub(f"{SYMBOL}| ", "", span)


def _hides(spelling: Spelling, span: str, left: str, right: str, quoted: bool) -> bool:
    """Tell whether `span`, read between its neighbours, is the stem and no innocent word."""
    stem, spaced = spelling.stem, " " in span.strip()
    if quoted and not re.search("[가-힣]", span):
        return False
    if not _begins_word(spelling, span, left):
        return False
    if spelling.alias:
        return True
    if spelling.by_initials:
        clear = not stem.initials_before or right.lstrip().startswith(any_of(stem.initials_before))
        innocent = right.lstrip().startswith(any_of(stem.initials_not_before))
        return clear and not innocent and not _NAMED.match(right) and not _LONGER.match(right)
    ahead = re.sub(f"^(?:{' ' if spaced else SYMBOL}){{1,6}}", "", right)
    if ahead.startswith(any_of(stem.not_before)):
        return False
    if re.fullmatch("[ㄱ-ㅎ]+", _letters(span)):
        return False
    if re.match("[0-9A-Za-z가-힣]", right) and not right.startswith(_ENDINGS):
        return False
    return not spaced or _abusive_apart(stem, span, left, right)


def _begins_word(spelling: Spelling, span: str, left: str) -> bool:
    """Tell whether what stands in front lets a word begin at `span`."""
    stem = spelling.stem
    if re.search("[0-9A-Za-zㄱ-ㅊㅌㅍㅏ-ㅗㅛㅝ-ㅟㅢㅣ]$", left):
        return False
    if spelling.by_initials:
        return not left.endswith(any_of(stem.not_after))
    by_sound = re.fullmatch("[가-힣]+", span) is not None
    front = left if by_sound else re.sub(f"(?:{SYMBOL}| ){{1,6}}$", "", left)
    if front.endswith(any_of(stem.not_after)):
        return False
    # Where a whole sentence is dotted, 어.머.니.미.안, the stem must not begin inside a word.
    dotted = re.search(f"(?<![가-힣])([가-힣]){SYMBOL}{{1,6}}$", left)
    if dotted and not by_sound and stem.apart != "free" and dotted[1] not in _CALLS:
        return False
    if not re.search("[가-힣]$", left):
        return True
    return left.endswith(_INTENSIFIERS if by_sound else _PREFIXES)


def _abusive_apart(stem: Stem, span: str, left: str, right: str) -> bool:
    """Tell whether syllables with white space between them are meant as one word."""
    if stem.apart == "never" or any(len(piece) > 1 for piece in span.split()):
        return False
    last = (left.split() or [""])[-1]
    if (left and left[-1] != " ") or last.isdigit():
        return False
    called = not last or last in _CALLS or last.endswith(tuple(_PLAIN))
    if stem.apart == "free" or _AIMED.match(right):
        return called or len(last) > 1
    if right and right[0] != " ":
        return False
    # 쒸 발 and 쌔 끼 are no words that anyone would use.
    if _letters(span) not in _PLAIN or (stem.apart == "called" and (not last or last in _SHOUTS)):
        return called
    return called and (not right.strip() or right.lstrip().startswith(_RAGE))


@lru_cache(maxsize=4096)
def _shape(character: str) -> str:
    """Return the one plain character that `character` looks like, or _HIDDEN."""
    if "가" <= character <= "힣" or "ㄱ" <= character <= "ㅣ" or " " <= character <= "~":
        return character
    if character.isspace():
        return " "
    shape = unicodedata.normalize("NFKC", character.translate(_LOOKALIKES))
    if not "가" <= shape <= "힣":
        shape = "".join(c for c in decompose(shape) if not unicodedata.combining(c))
    if len(shape) == 1 and "ᄀ" <= shape <= "ᄒ":
        return ONSETS[ord(shape) - 0x1100]
    if len(shape) == 1 and "ᅡ" <= shape <= "ᅵ":
        return VOWELS[ord(shape) - 0x1161]
    return shape if len(shape) == 1 and normalise(shape) else _HIDDEN
