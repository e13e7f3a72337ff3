"""The Mamba-2 mixer (Dao and Gu 2024, figure 6 and listing 1), with the published parameter names.

Glossary, where it differs from `mamba.py`:

    nheads, h        heads, d_inner / headdim; each has one decay and one step size a token
    headdim, p       channels of a head                         P
    ngroups, g       groups of heads that share B and C         G
    A                decay per head, negative

One projection gives everything at once: z, x, B, C and dt. x, B and C go through the convolution together.
The output is normalised after its gate, per group: `RMSNormGated` of state-spaces/mamba with
norm_before_gate=False and group_size d_inner / ngroups.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bhasa.model.config import ModelConfig
from bhasa.model.mixers.mamba import initial_dt_bias
from bhasa.model.mixers.protocol import Mixer, scale_output
from bhasa.ops import causal_conv, rms_norm, ssd

A_MIN, A_MAX = 1.0, 16.0  # between which the initial -A is uniform: `A_init_range` of `mamba2.py` there


class Mamba2State(NamedTuple):
    """The recurrent state of one layer; its size does not depend on the length of the text."""

    conv: Tensor
    """(b, d_inner + 2 g n, d_conv - 1): the convolution's last inputs, the newest last."""
    ssm: Tensor
    """(b, h, p, n), float32: the recurrence."""


class Mamba2(Mixer[Mamba2State]):
    """Gated convolution and state-space dual: (b, l, d_model) to (b, l, d_model)."""

    def __init__(self, config: ModelConfig, backend: str = "auto") -> None:
        super().__init__(config, backend)
        d_inner, heads = config.d_inner, config.nheads
        convolved = d_inner + 2 * config.ngroups * config.d_state
        self.dt_limit = config.dt_limit or (0.0, math.inf)

        self.in_proj = nn.Linear(config.d_model, d_inner + convolved + heads, bias=config.use_bias)
        # Holds the parameters under their published names and shapes; `causal_conv` does the work.
        self.conv1d = nn.Conv1d(convolved, convolved, config.d_conv, groups=convolved, bias=config.conv_bias)
        self.dt_bias = nn.Parameter(initial_dt_bias(heads, config))
        self.A_log = nn.Parameter(torch.empty(heads).uniform_(A_MIN, A_MAX).log_())
        self.D = nn.Parameter(torch.ones(heads))
        self.norm = GatedRMSNorm(d_inner, config.ngroups, config.norm_eps, backend)
        self.out_proj = nn.Linear(d_inner, config.d_model, bias=config.use_bias)
        if config.use_bias:
            nn.init.zeros_(self.in_proj.bias)
            nn.init.zeros_(self.out_proj.bias)
        scale_output(self.out_proj, config)

    def forward(
        self,
        hidden: Tensor,
        state: Mamba2State | None = None,
        segment_ids: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, Mamba2State]:
        z, xBC, dt = self._projected(hidden)
        xBC, conv_state = causal_conv.causal_conv(
            xBC,
            self.conv1d.weight.squeeze(1),
            self.conv1d.bias,
            initial_state=state.conv if state else None,
            segment_ids=segment_ids,
            lengths=lengths,
            backend=self.backend,
        )
        x, B, C = self._heads(xBC)
        y, ssm_state = ssd.ssd(
            x,
            dt,
            self._A(),
            B,
            C,
            self.D,
            dt_bias=self.dt_bias,
            dt_limit=self.dt_limit,
            initial_state=state.ssm if state else None,
            segment_ids=segment_ids,
            lengths=lengths,
            backend=self.backend,
        )  # (b, l, h, p)
        return self.out_proj(self.norm(y.flatten(-2), z)), Mamba2State(conv_state, ssm_state)

    def step(self, hidden: Tensor, state: Mamba2State) -> tuple[Tensor, Mamba2State]:
        z, xBC, dt = self._projected(hidden)
        xBC, conv_state = causal_conv.causal_conv_step(
            xBC, self.conv1d.weight.squeeze(1), self.conv1d.bias, state=state.conv
        )
        x, B, C = self._heads(xBC)
        y, ssm_state = ssd.ssd_step(
            *(x, dt, self._A(), B, C, self.D),
            dt_bias=self.dt_bias,
            dt_limit=self.dt_limit,
            state=state.ssm,
        )  # (b, h, p)
        return self.out_proj(self.norm(y.flatten(-2), z)), Mamba2State(conv_state, ssm_state)

    def initial_state(self, batch_size: int) -> Mamba2State:
        """Zeros."""
        config, zeros = self.config, self.A_log.new_zeros
        return Mamba2State(
            zeros(batch_size, self.conv1d.in_channels, config.d_conv - 1),
            zeros(batch_size, config.nheads, config.headdim, config.d_state),
        )

    def operations(self) -> dict[str, int]:
        return {
            "causal_conv": self.config.d_conv,
            "ssd": self.config.d_state,
            "rms_norm": self.config.d_inner,
        }

    def _A(self) -> Tensor:
        return -torch.exp(self.A_log.float())  # (h,)

    def _projected(self, hidden: Tensor) -> tuple[Tensor, ...]:
        """z (..., d_inner), what is convolved (..., d_inner + 2 g n), and dt before its bias (..., h)."""
        sizes = [self.config.d_inner, self.conv1d.in_channels, self.config.nheads]
        parts: tuple[Tensor, ...] = self.in_proj(hidden).split(sizes, dim=-1)
        return parts

    def _heads(self, xBC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (..., h, p), B and C (..., g, n)."""
        config = self.config
        grouped = config.ngroups * config.d_state
        x, B, C = xBC.split([config.d_inner, grouped, grouped], dim=-1)
        B, C = (t.unflatten(-1, (config.ngroups, config.d_state)) for t in (B, C))
        return x.unflatten(-1, (config.nheads, config.headdim)), B, C


class GatedRMSNorm(nn.Module):
    """RMSNorm of y * silu(z) over each of `groups` equal parts of the last axis."""

    def __init__(self, width: int, groups: int, eps: float, backend: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.groups, self.eps = groups, eps
        self.backend = backend

    def forward(self, y: Tensor, z: Tensor) -> Tensor:
        """Both (..., width)."""
        return rms_norm.rms_norm(y, self.weight, self.eps, z=z, groups=self.groups, backend=self.backend)
