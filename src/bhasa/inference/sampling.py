"""One token from each row of logits.

The random number of draw n is a pure function of (seed, n), from a counter-based generator: there is no
generator state to carry, to save or to share, so any draw can be made again by itself. The token is found
by inverting the cumulative distribution in float64.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bhasa.errors import BhasaError
from bhasa.inference.config import SamplingConfig


def sample_rows(logits: Tensor, samplings: Sequence[SamplingConfig], draws: Sequence[int]) -> list[int]:
    """`sample` of each row of logits (r, V), each with its own sampling and number of draws before."""
    return [sample(*row) for row in zip(logits.detach().cpu(), samplings, draws, strict=True)]


def sample(logits: Tensor, sampling: SamplingConfig, draw: int) -> int:
    """The id of the next token.

    `logits` is one row (V,) on any device; `draw` counts the tokens drawn before this one. Top-k cuts first;
    top-p then keeps the shortest prefix of what is left that reaches its share. Raises `BhasaError` for
    logits with NaN or infinity; minus infinity is allowed and means that a token is never drawn.
    """
    largest, likeliest = logits.max(dim=0)  # NaN where there is one; the first of equals
    if not math.isfinite(largest):
        raise BhasaError(
            "the model's logits are not finite: its weights are damaged, or its training diverged; "
            "restore the model folder or train it anew"
        )
    if sampling.temperature == 0:
        return int(likeliest)
    ranked, ids = _ranked(logits.detach().cpu(), sampling.top_k)
    # The largest logit is taken off before the division, which then cannot overflow.
    cumulative = ((ranked - ranked[0]) / sampling.temperature).softmax(0).cumsum(0).numpy()
    kept = min(int(np.searchsorted(cumulative, sampling.top_p)) + 1, len(cumulative))
    point = _uniform(sampling.seed, draw) * cumulative[kept - 1]
    return int(ids[min(int(np.searchsorted(cumulative[:kept], point, side="right")), kept - 1)])


def _ranked(logits: Tensor, top_k: int) -> tuple[Tensor, NDArray[np.int64]]:
    """The top_k largest logits, or all for 0, in float64 and falling order, and their ids.

    The sort is stable: among equal logits the lowest id comes first, as in argmax. Only those that can be
    among the first k are sorted.
    """
    if not 0 < top_k < len(logits):
        ranked, order = torch.sort(logits, descending=True, stable=True)
        return ranked.double(), order.numpy()
    values = logits.numpy()
    smallest = float(logits.topk(top_k, sorted=False).values.min())
    candidates = np.flatnonzero(~(values < smallest))  # with all that equal the smallest; ids ascend
    ids: NDArray[np.int64] = candidates[np.argsort(-values[candidates], kind="stable")[:top_k]]
    return torch.from_numpy(values[ids]).double(), ids


def _uniform(seed: int, draw: int) -> float:
    """A number in [0, 1): that of this seed and this draw."""
    return float(np.random.Generator(np.random.Philox(key=seed, counter=draw)).random())
