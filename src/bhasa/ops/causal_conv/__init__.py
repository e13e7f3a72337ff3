"""The short causal convolution of Mamba, with its SiLU and its state: one public function, two twins.

    y[t] = silu(bias + sum over k of weight[:, K-1-k] x[t-k])

The state is the last K - 1 inputs. Source: `causal_conv1d_fn` of Dao-AILab/causal-conv1d; differences:
time is the second axis, and packed documents are separated exactly.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from bhasa.ops.backends import choose
from bhasa.ops.causal_conv.reference import reference_conv
from bhasa.ops.causal_conv.shifted import shifted_conv

Conv = Callable[[Tensor, Tensor, Tensor | None], Tensor]

BACKENDS: dict[str, Conv] = {"reference": reference_conv, "shifted": shifted_conv}


def resolve(backend: str) -> str:
    """The name of a twin; "auto" is the fastest there is."""
    return choose(backend, BACKENDS, fastest="shifted")


def causal_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *,
    initial_state: Tensor | None = None,
    segment_ids: Tensor | None = None,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Convolve along time: returns silu(conv(x)) (b, l, d) and the final state (b, d, K - 1).

    Args: x (b, l, d); weight (d, K); bias (d,) or None; initial_state (b, d, K - 1), zero if absent;
    segment_ids (b, l), see `ops.segments`.
    """
    taps = weight.shape[1]
    if initial_state is None:
        initial_state = x.new_zeros(x.shape[0], x.shape[2], taps - 1)
    window = torch.cat([initial_state.transpose(1, 2).to(x.dtype), x], dim=1)  # (b, K - 1 + l, d)
    y = BACKENDS[resolve(backend)](window, weight.to(x.dtype), segment_ids)
    if bias is not None:
        y = y + bias.to(x.dtype)
    return F.silu(y), window[:, x.shape[1] :].transpose(1, 2).clone()  # a view would keep all of x alive


def causal_conv_step(
    x: Tensor, weight: Tensor, bias: Tensor | None, *, state: Tensor
) -> tuple[Tensor, Tensor]:
    """One token of `causal_conv`: x (b, d), state (b, d, K - 1), not changed in place."""
    window = torch.cat([state, x[..., None]], dim=-1)  # (b, d, K)
    y = (window * weight).sum(-1)
    return F.silu(y if bias is None else y + bias), window[..., 1:]
