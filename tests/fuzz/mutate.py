"""Seeded mutation of bytes and of text: what hostile or broken sources do, many times a second."""

import random
from collections.abc import Callable, Sequence

MARK = "zQ7markZ"
"""Stands in every text of a record's seed: no error's message may hold it."""
GOLDEN = "gQ7goldZ"
"""Stands in the golden texts of a bundle: no error's message may hold it either.

Labels and names that do not verify are quoted, and are meant to be.
"""

# What breaks parsers, as it stands in JSON or in its bytes.
TOKENS: Sequence[bytes] = (
    *(b"\x00", b"\\u0000", b"\\ud800", b"\\udfff\\ud800", b"\\u12", b"\\x41", b"\\", b'"', b"'"),
    *(b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"\xe2\x80"),
    *(b"NaN", b"-Infinity", b"1e999", b"-0", b"0x10", b"01", b"1.", b"9" * 400, b"1" * 5000),
    *(b"1e-999", b"-" + b"9" * 25, b"18446744073709551616", b"0." + b"3" * 400, b"true", b"null"),
    *(b"{}", b"[]", b"[[", b"}}", b",,", b":", b"/*", b"\n\n", b" " * 40, b'{"":{}}', b'"a":1,'),
    *("\u200b\u200d\ufeff".encode(), "\u202e".encode(), "e\u0301\u0328".encode(), "😀".encode()),
    *(f'"{MARK}":"{MARK}",'.encode(), f'"text":["{MARK}"],'.encode(), f'"{MARK}"'.encode()),
    *(b'"text":"",', b'"call_id":7,', b'"schema_version":1,', b'"is_final":"no",', b'"seq":1e3,'),
)

# What a text may be made of: pieces of stems, what hides them, what a normaliser may trip over.
ATOMS: Sequence[str] = (
    *"시씨발병신개새끼지랄섹스가슴보존나미친년놈아들이다네요",
    *"ㅅㅂㅆㅈㄹㄲㅄㅗㅣㅏㅎㅋ .,-*1278^rlxXcG@!~○●☎\t\n",
    *("18", "77", "십팔", "tlqkf", "sex", "***", "[비속어]", "삐-", "삐이익", MARK, "010-1234"),
    *("http://", "htttp://", "https:/", "ww", "www.", "wwww.a", "://", "%20"),
    *("\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u202e", "\u0000", "\u3164", "\u115f"),
    *(
        "\u0336",
        "\u0301\u0328",
        "\u0e49" * 9,
        "\u0334" * 40,
        "\u1100",
        "\u1161",
        "\u11a8",
        "\ua960",
    ),
    *(
        "\ud800",
        "\udfff",
        "\U0001f468\u200d\U0001f469",
        "😀",
        "ｓ",
        "ﬃ",
        "㎏",
        "\u2126",
        "\ufb2c",
        "İ",
    ),
    *(
        "\u2028",
        "\u0085",
        "\u3000",
        "\u1680",
        "٣",
        "߁",
        "𝟟",
        "①",
        "क\u093c",
        "\u0344",
        "\U0001d15e",
    ),
)

MAX_BYTES = 100_000


def mutated(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Return `data` with one to four things done to it; `others` are spliced in."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 4))):
        data = rng.choice(_BYTE_MUTATIONS)(rng, data, others)
    return data[:MAX_BYTES]


def random_bytes(rng: random.Random, most: int = 200) -> bytes:
    """Return up to `most` random bytes, or what could be JSON at first sight."""
    raw = rng.randbytes(rng.randrange(most))
    return raw if rng.random() < 0.5 else b'{"' + raw.replace(b"\\", b"") + b'":1}'


def text(rng: random.Random, seeds: Sequence[str]) -> str:
    """Return a hostile text: atoms, or a seed with atoms in it; one in 1,000 is long."""
    made = rng.choice(seeds) if rng.random() < 0.6 else ""
    for _ in range(rng.randrange(1, 12)):
        at = rng.randint(0, len(made))
        atom = rng.choice(ATOMS) * rng.choice((1, 1, 1, 1, 2, 3, 9))
        made = made[:at] + atom + made[at:]
    if rng.random() < 0.1:
        made = "".join(chr(_code_point(rng)) for _ in range(rng.randrange(40)))
    if rng.random() < 0.1:
        start, end = sorted(rng.choices(range(len(made) + 1), k=2))
        made = made[:start] + made[end:] + made[start:end][::-1]
    return made * rng.randrange(20, 400) if rng.random() < 0.001 else made


def _code_point(rng: random.Random) -> int:
    """Return a code point; half of them of the first plane, where most scripts are."""
    return rng.randrange(0x10000 if rng.random() < 0.5 else 0x110000)


def _at(rng: random.Random, data: bytes) -> int:
    return rng.randint(0, len(data))


def _slice(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = _at(rng, data)
    return start, min(len(data), start + rng.choice((1, 2, 8, 60)))


def _flip(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    if not data:
        return data
    changed = bytearray(data)
    changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _overwrite(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    start, end = _slice(rng, data)
    return data[:start] + rng.randbytes(end - start) + data[end:]


def _insert(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    at = _at(rng, data)
    return data[:at] + rng.choice(TOKENS) + data[at:]


def _replace(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Put a token in the place of what stands between two signs of JSON."""
    places = [at for at, byte in enumerate(data[:4096]) if byte in b'{}[],:"']
    if len(places) < 2:
        return data
    first = rng.randrange(len(places) - 1)
    return data[: places[first] + 1] + rng.choice(TOKENS) + data[places[first + 1] :]


def _delete(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    start, end = _slice(rng, data)
    return data[:start] + data[end:]


def _repeat(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    start, end = _slice(rng, data)
    times = 500 if rng.random() < 0.01 else rng.randrange(2, 6)
    return data[:start] + data[start:end] * times + data[end:]


def _truncate(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return data[: _at(rng, data)]


def _splice(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others)
    return data[: _at(rng, data)] + other[_at(rng, other) :]


def _nest(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    depth = rng.choice((3, 120, 250, 2000))
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    at = _at(rng, data)
    nested = opening * depth + (b"1" + closing * depth if rng.random() < 0.5 else b"")
    return data[:at] + nested + data[at:]


_BYTE_MUTATIONS: Sequence[Callable[[random.Random, bytes, Sequence[bytes]], bytes]] = (
    *(_flip, _flip, _overwrite, _insert, _insert, _insert, _replace, _replace, _replace),
    *(_delete, _repeat, _truncate, _splice, _nest),
)
