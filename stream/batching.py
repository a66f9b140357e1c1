"""Which texts run through the model together."""

from collections.abc import Sequence


def pack(lengths: Sequence[int], max_tokens: int, max_rows: int) -> list[list[int]]:
    """Return batches of indices into `lengths` (tokens of each text), longest texts first.

    A padded batch costs its longest text times its rows, so texts of like length ride together
    and a batch holds as many rows as keep that product within `max_tokens`, at most `max_rows`.
    A text longer than `max_tokens` rides alone. Every index appears exactly once.
    """
    batches: list[list[int]] = []
    longest = 0
    for index in sorted(range(len(lengths)), key=lambda i: lengths[i], reverse=True):
        rows = len(batches[-1]) + 1 if batches else max_rows + 1
        if rows > max_rows or longest * rows > max_tokens:
            batches.append([])
            longest = lengths[index]
        batches[-1].append(index)
    return batches
