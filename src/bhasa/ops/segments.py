"""Packed documents: where in a row a new document begins.

`segment_ids` (b, l) never decrease along a row. An initial state belongs to segment 0: rows that start
with another segment, and every later change of segment, start from nothing.
"""

import torch
from torch import Tensor


def starts(segment_ids: Tensor) -> Tensor:
    """True where a document begins, (b, l) bool."""
    previous = torch.nn.functional.pad(segment_ids[:, :-1], (1, 0))  # the initial state's segment is 0
    return segment_ids != previous


def same_as(segment_ids: Tensor, back: int) -> Tensor:
    """True where the token `back` steps earlier is of the same document, (b, l) bool."""
    earlier = torch.nn.functional.pad(segment_ids, (back, 0))[:, : segment_ids.shape[1]]
    return segment_ids == earlier
