"""One token from one row of logits.

The random number of draw n is a pure function of (seed, n), from a counter-based generator: there is no
generator state to carry, to save or to share, so any draw can be made again by itself. The token is found
by inverting the cumulative distribution in float64.
"""

import numpy as np
import torch
from torch import Tensor

from bhasa.inference.config import SamplingConfig


def sample(logits: Tensor, sampling: SamplingConfig, draw: int) -> int:
    """The id of the next token.

    `logits` is one row (V,) on any device; `draw` counts the tokens drawn before this one. Top-k cuts
    first; top-p then keeps the shortest prefix of what is left that reaches its share.
    """
    if sampling.temperature == 0:
        return int(logits.argmax())
    # Stable: among equal logits the lowest id comes first, as in argmax.
    ranked, ids = torch.sort(logits.detach().cpu(), descending=True, stable=True)
    ranked = ranked[: sampling.top_k or None].double()
    # The largest logit is taken off before the division, which then cannot overflow.
    cumulative = ((ranked - ranked[0]) / sampling.temperature).softmax(0).cumsum(0).numpy()
    kept = min(int(np.searchsorted(cumulative, sampling.top_p)) + 1, len(cumulative))
    point = _uniform(sampling.seed, draw) * cumulative[kept - 1]
    return int(ids[min(int(np.searchsorted(cumulative[:kept], point, side="right")), kept - 1)])


def _uniform(seed: int, draw: int) -> float:
    """A number in [0, 1): that of this seed and this draw."""
    return float(np.random.Generator(np.random.Philox(key=seed, counter=draw)).random())
