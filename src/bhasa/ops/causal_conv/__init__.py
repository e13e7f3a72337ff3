"""The short causal convolution of Mamba, with its SiLU and its state: one function, several implementations.

    y[t] = silu(bias + sum over k of weight[:, K-1-k] x[t-k])

The state is the last K - 1 inputs. Source: `causal_conv1d_fn` of Dao-AILab/causal-conv1d; differences:
time is the second axis, and packed documents are separated exactly.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from bhasa.ops.backends import Backends, Implementation
from bhasa.ops.causal_conv.interface import Conv, ConvInputs
from bhasa.ops.causal_conv.native import native_conv
from bhasa.ops.causal_conv.reference import reference_conv
from bhasa.ops.causal_conv.shifted import shifted_conv
from bhasa.ops.native import missing
from bhasa.ops.native.structures import MAX_TAPS
from bhasa.ops.triton_support import missing as triton_missing


def triton_conv(inputs: ConvInputs) -> Tensor:
    from bhasa.ops.causal_conv import triton_op  # takes a while, and Triton may not be installed

    return triton_op.triton_conv(inputs)


BACKENDS: Backends[Conv] = Backends(
    "causal_conv",
    size="d_conv",
    native=Implementation(native_conv, missing, limit=MAX_TAPS),
    triton=Implementation(triton_conv, triton_missing),
    chunked=Implementation(shifted_conv),
    reference=Implementation(reference_conv),
)


def causal_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *,
    initial_state: Tensor | None = None,
    segment_ids: Tensor | None = None,
    lengths: Tensor | None = None,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Convolve along time: returns silu(conv(x)) (b, l, d) and the final state (b, d, K - 1).

    Args: x (b, l, d); weight (d, K); bias (d,) or None; initial_state (b, d, K - 1), zero if absent;
    segment_ids (b, l), see `ops.segments`; lengths (b,): of each row, what comes after is padding and the
    final state is that of the row's own last inputs; after packed documents, of the last one alone.
    """
    if initial_state is None:
        initial_state = x.new_zeros(x.shape[0], x.shape[2], weight.shape[1] - 1)
    weight, bias = weight.to(x.dtype), None if bias is None else bias.to(x.dtype)
    initial_state = initial_state.to(x.dtype)
    conv = BACKENDS[BACKENDS.resolve(backend, x.device, x.dtype, weight.shape[1])].compute
    y = conv(ConvInputs(x, weight, bias, initial_state, segment_ids))
    final_state = _last(initial_state, x, lengths)
    if segment_ids is not None:  # what a later token continues is the last document alone
        of_state = segment_ids.new_zeros(len(x), 1, initial_state.shape[2])
        documents = _last(of_state, segment_ids[..., None], lengths)  # (b, 1, K - 1)
        final_state = final_state * (documents == documents[..., -1:])
    return y, final_state


def _last(state: Tensor, x: Tensor, lengths: Tensor | None) -> Tensor:
    """(b, d, K - 1): the newest of `state` (b, d, K - 1) and x (b, l, d) after it, of each row's own."""
    length, before = x.shape[1], state.shape[2]
    if lengths is not None:
        window = torch.cat([state, x.transpose(1, 2)], dim=2)  # (b, d, K - 1 + l)
        places = lengths[:, None] + torch.arange(before, device=x.device)  # (b, K - 1)
        return window.gather(2, places[:, None].expand(-1, x.shape[2], -1))
    newest = x[:, max(0, length - before) :].transpose(1, 2)  # (b, d, K - 1 or, of a short x, all)
    return torch.cat([state[:, :, min(length, before) :], newest], dim=2)


def causal_conv_step(
    x: Tensor, weight: Tensor, bias: Tensor | None, *, state: Tensor
) -> tuple[Tensor, Tensor]:
    """One token of `causal_conv`: x (b, d), state (b, d, K - 1), not changed in place."""
    window = torch.cat([state, x[..., None]], dim=-1)  # (b, d, K)
    y = (window * weight).sum(-1)
    return F.silu(y if bias is None else y + bias), window[..., 1:]
