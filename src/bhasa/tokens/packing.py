"""Conversations in rows: whole, several to a row, so that little of a batch is padding.

Which conversations share a row follows from their lengths alone (best fit, longest first) and is the same
in every epoch; the rows are drawn in a new order. Neighbours in a row cannot see each other, so fixed
company costs nothing, while an epoch has a fixed count of rows that can be addressed directly.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence

import numpy as np

from bhasa.errors import UserError
from bhasa.tokens.loader import Loader, Rows, Tokens
from bhasa.tokens.shard_reader import TokenSplit
from bhasa.tokens.special import END_OF_TEXT


class ChatLoader(Loader):
    """Conversations of one split; targets are what the split's mask marks.

    A conversation longer than a row loses its end. One that has no target, also because it was cut off,
    would teach nothing and is left out. Rows are filled up with `<|endoftext|>`, which is no target.
    """

    def __init__(self, split: TokenSplit, context_length: int, *, seed: int | None) -> None:
        super().__init__(split, context_length, seed=seed)
        lengths = np.diff(split.offsets)
        kept = np.minimum(lengths, context_length + 1)
        spans = [(int(start), int(start + n)) for start, n in zip(split.offsets[:-1], kept, strict=True)]
        self._spans = [span for span in spans if split.read_mask(*span).any()]
        self._rows = pack([stop - start for start, stop in self._spans], context_length + 1)
        self.rows_per_epoch = len(self._rows)
        self.cut = int((lengths > context_length + 1).sum())
        """Conversations that were longer than a row."""
        self.left_out = len(spans) - len(self._spans)
        """Conversations without a target."""
        if not self._rows:
            raise UserError(
                f"{split.name}: none of {len(spans):,} conversations has an answer within {context_length:,} "
                "tokens; raise the context length or add chat data"
            )

    def places(self, epoch: int, numbers: Tokens) -> Tokens:
        """The numbers themselves."""
        return numbers

    def rows(self, places: Tokens) -> Rows:
        tokens = np.full((len(places), self.context_length + 1), END_OF_TEXT, np.int64)
        counted = np.zeros(tokens.shape, np.bool_)
        for row, number in enumerate(places.tolist()):
            place = 0
            for start, stop in (self._spans[conversation] for conversation in self._rows[number]):
                here = slice(place, place + stop - start)
                tokens[row, here] = self.split.read(start, stop)
                counted[row, here] = self.split.read_mask(start, stop)
                place = here.stop
        return Rows(tokens, counted)


def pack(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Rows of item numbers whose lengths add up to at most `capacity`; no item is longer than that.

    Each item, longest first, goes into the fullest row that still has room for it.
    """
    rows: list[list[int]] = []
    with_room: dict[int, list[int]] = {}  # room -> rows
    rooms: list[int] = []  # the keys of with_room, ascending
    for item in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        place = bisect_left(rooms, lengths[item])
        if place == len(rooms):
            room, row = capacity, len(rows)
            rows.append([])
        else:
            room = rooms[place]
            row = with_room[room].pop()
            if not with_room[room]:
                del with_room[room], rooms[place]
        rows[row].append(item)
        room -= lengths[item]
        if room not in with_room:
            with_room[room] = []
            insort(rooms, room)
        with_room[room].append(row)
    return rows
