"""The Mamba-1 mixer (Gu and Dao 2023, figure 3 and algorithm 2), with the published parameter names.

Glossary: code name, size or shape, the paper's symbol.

    b, l             batch, length                              B, L
    d_model          width of the residual stream               D
    d_inner          channels of the mixer, expand * d_model    E D
    d_state          state size per channel                     N
    d_conv           taps of the convolution
    dt_rank          rank of the step-size projection           R
    dt               step size per token and channel            Delta
    A                decay per channel and state, negative      A
    B, C             input and output maps, per token           B, C
    D                skip weight per channel                    D
    x, z             the two branches: convolved and scanned, gating

What the scan of one token needs of the past is its state: the last d_conv - 1 inputs of the convolution
and the (d_inner, d_state) state of the recurrence. `forward` over a sequence and `step` over its tokens
give the same outputs and the same state.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bhasa.model.config import ModelConfig
from bhasa.model.mixers.protocol import Mixer, scale_output
from bhasa.ops import causal_conv, selective_scan


class MambaState(NamedTuple):
    """The recurrent state of one layer; its size does not depend on the length of the text."""

    conv: Tensor
    """(b, d_inner, d_conv - 1): the convolution's last inputs, the newest last."""
    ssm: Tensor
    """(b, d_inner, d_state), float32: the recurrence."""


class Mamba(Mixer[MambaState]):
    """Gated convolution and selective scan: (b, l, d_model) to (b, l, d_model)."""

    def __init__(self, config: ModelConfig, backend: str = "auto") -> None:
        super().__init__(config, backend)
        d_inner, d_state, dt_rank = config.d_inner, config.d_state, config.resolved_dt_rank

        self.in_proj = nn.Linear(config.d_model, 2 * d_inner, bias=config.use_bias)
        # Holds the parameters under their published names and shapes; `causal_conv` does the work.
        self.conv1d = nn.Conv1d(d_inner, d_inner, config.d_conv, groups=d_inner, bias=config.conv_bias)
        self.x_proj = nn.Linear(d_inner, dt_rank + 2 * d_state, bias=False)
        self.dt_proj = StepSizeProjection(dt_rank, config)
        self.A_log = nn.Parameter(torch.arange(1, d_state + 1).float().log().repeat(d_inner, 1))
        self.D = nn.Parameter(torch.ones(d_inner))
        self.out_proj = nn.Linear(d_inner, config.d_model, bias=config.use_bias)
        if config.use_bias:
            nn.init.zeros_(self.in_proj.bias)
            nn.init.zeros_(self.out_proj.bias)
        scale_output(self.out_proj, config)

    def forward(
        self,
        hidden: Tensor,
        state: MambaState | None = None,
        segment_ids: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, MambaState]:
        x, z = self.in_proj(hidden).chunk(2, dim=-1)  # (b, l, d_inner)
        x, conv_state = causal_conv.causal_conv(
            x,
            self.conv1d.weight.squeeze(1),
            self.conv1d.bias,
            initial_state=state.conv if state else None,
            segment_ids=segment_ids,
            lengths=lengths,
            backend=self.backend,
        )
        dt, B, C = self._input_dependent(x)
        y, ssm_state = selective_scan.selective_scan(
            x,
            dt,
            self._A(),
            B,
            C,
            self.D,
            z=z,
            initial_state=state.ssm if state else None,
            segment_ids=segment_ids,
            lengths=lengths,
            backend=self.backend,
        )  # (b, l, d_inner)
        return self.out_proj(y), MambaState(conv_state, ssm_state)

    def step(self, hidden: Tensor, state: MambaState) -> tuple[Tensor, MambaState]:
        x, z = self.in_proj(hidden).chunk(2, dim=-1)  # (b, d_inner)
        x, conv_state = causal_conv.causal_conv_step(
            x, self.conv1d.weight.squeeze(1), self.conv1d.bias, state=state.conv
        )
        dt, B, C = self._input_dependent(x)
        y, ssm_state = selective_scan.selective_step(x, dt, self._A(), B, C, self.D, z=z, state=state.ssm)
        return self.out_proj(y), MambaState(conv_state, ssm_state)

    def initial_state(self, batch_size: int) -> MambaState:
        """Zeros."""
        d_inner = self.config.d_inner
        zeros = self.A_log.new_zeros
        return MambaState(
            zeros(batch_size, d_inner, self.config.d_conv - 1),
            zeros(batch_size, d_inner, self.config.d_state),
        )

    def operations(self) -> dict[str, int]:
        return {"causal_conv": self.config.d_conv, "selective_scan": self.config.d_state}

    def _A(self) -> Tensor:
        return -torch.exp(self.A_log.float())  # (d_inner, d_state)

    def _input_dependent(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """dt before its softplus (..., d_inner), B and C (..., d_state): what makes the scan selective."""
        d_state = self.config.d_state
        dt, B, C = self.x_proj(x).split([self.config.resolved_dt_rank, d_state, d_state], dim=-1)
        return self.dt_proj(dt), B, C


class StepSizeProjection(nn.Linear):
    """dt_rank to d_inner; its bias sets the initial step sizes, and is added in float32 in any precision."""

    def __init__(self, dt_rank: int, config: ModelConfig) -> None:
        super().__init__(dt_rank, config.d_inner)
        nn.init.uniform_(self.weight, -(dt_rank**-0.5), dt_rank**-0.5)
        with torch.no_grad():
            self.bias.copy_(initial_dt_bias(config.d_inner, config))

    def forward(self, dt: Tensor) -> Tensor:
        projected = F.linear(dt, self.weight)
        return projected + self.bias if projected.dtype == self.bias.dtype else projected.float() + self.bias


def initial_dt_bias(size: int, config: ModelConfig) -> Tensor:
    """(size,): after softplus the initial steps are log-uniform in [dt_min, dt_max].

    From `mamba_simple.py` of state-spaces/mamba; a blanket initialiser must not touch them.
    """
    log_min, log_max = math.log(config.dt_min), math.log(config.dt_max)
    dt = torch.exp(torch.rand(size) * (log_max - log_min) + log_min)
    dt = dt.clamp(min=config.dt_init_floor)
    return dt + torch.log(-torch.expm1(-dt))  # the inverse of softplus
