"""A residual block: norm, mixer, add; then, if the config asks for it, norm, gated MLP, add."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bhasa.model.config import ModelConfig
from bhasa.model.mixers import Mamba, MambaState
from bhasa.ops import rms_norm


class RMSNorm(nn.RMSNorm):
    """torch's, computed by `ops.rms_norm`."""

    def __init__(self, width: int, eps: float, backend: str) -> None:
        super().__init__(width, eps=eps)
        self.backend = rms_norm.BACKENDS.known(backend)

    def forward(self, x: Tensor) -> Tensor:
        assert self.eps is not None
        return rms_norm.rms_norm(x, self.weight, self.eps, backend=self.backend)


def build_norm(config: ModelConfig, backend: str = "auto") -> nn.Module:
    """RMSNorm or LayerNorm over d_model, computed in float32 in any precision."""
    if config.norm == "rms":
        return RMSNorm(config.d_model, config.norm_eps, backend)
    return nn.LayerNorm(config.d_model, eps=config.norm_eps)


class GatedMLP(nn.Module):
    """fc2(value * silu(gate)) with (value, gate) = fc1(hidden): `GatedMLP` of state-spaces/mamba."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.d_model, 2 * config.d_intermediate, bias=False)
        self.fc2 = nn.Linear(config.d_intermediate, config.d_model, bias=False)
        if config.rescale_prenorm_residual:
            with torch.no_grad():
                self.fc2.weight /= math.sqrt(2 * config.n_layer)

    def forward(self, hidden: Tensor) -> Tensor:
        value, gate = self.fc1(hidden).chunk(2, dim=-1)  # (..., d_intermediate)
        out: Tensor = self.fc2(value * F.silu(gate))
        return out


class Block(nn.Module):
    """(b, l, d_model) to (b, l, d_model); the residual stream stays float32 in any precision."""

    def __init__(self, config: ModelConfig, backend: str = "auto") -> None:
        super().__init__()
        self.norm = build_norm(config, backend)
        self.mixer = Mamba(config, backend)
        self.norm2 = build_norm(config, backend) if config.d_intermediate else None
        self.mlp = GatedMLP(config) if config.d_intermediate else None
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        residual: Tensor,
        state: MambaState | None = None,
        segment_ids: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, MambaState]:
        mixed, state = self.mixer(self.norm(residual), state, segment_ids, lengths)
        return self._add(residual, mixed), state

    def step(self, residual: Tensor, state: MambaState) -> tuple[Tensor, MambaState]:
        """One token: residual (b, d_model)."""
        mixed, state = self.mixer.step(self.norm(residual), state)
        return self._add(residual, mixed), state

    def _add(self, residual: Tensor, mixed: Tensor) -> Tensor:
        residual = residual + self.dropout(mixed)
        if self.norm2 is not None and self.mlp is not None:
            residual = residual + self.dropout(self.mlp(self.norm2(residual)))
        return residual
