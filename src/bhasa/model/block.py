"""A residual block: norm, mixer, add; then, if the config asks for it, norm, gated MLP, add."""

from torch import Tensor, nn

from bhasa.model.config import ModelConfig
from bhasa.model.mixers import MIXERS
from bhasa.model.mixers.mlp import GatedMLP
from bhasa.model.mixers.protocol import LayerState
from bhasa.ops import rms_norm


class RMSNorm(nn.RMSNorm):
    """torch's, computed by `ops.rms_norm`."""

    def __init__(self, width: int, eps: float, backend: str) -> None:
        super().__init__(width, eps=eps)
        self.backend = backend

    def forward(self, x: Tensor) -> Tensor:
        assert self.eps is not None
        return rms_norm.rms_norm(x, self.weight, self.eps, backend=self.backend)


def build_norm(config: ModelConfig, backend: str = "auto") -> nn.Module:
    """RMSNorm or LayerNorm over d_model, computed in float32 in any precision."""
    if config.norm == "rms":
        return RMSNorm(config.d_model, config.norm_eps, backend)
    return nn.LayerNorm(config.d_model, eps=config.norm_eps)


class Block(nn.Module):
    """(b, l, d_model) to (b, l, d_model); the residual stream stays float32 in any precision."""

    def __init__(self, config: ModelConfig, mixer: str, backend: str = "auto") -> None:
        super().__init__()
        self.norm = build_norm(config, backend)
        self.mixer = MIXERS[mixer].load()(config, backend)
        self.norm2 = build_norm(config, backend) if config.mlp_after_mixer else None
        self.mlp = GatedMLP(config) if config.mlp_after_mixer else None
        self.dropout, self.dropout2 = nn.Dropout(config.dropout), nn.Dropout(config.dropout)

    def forward(
        self,
        residual: Tensor,
        state: LayerState | None = None,
        segment_ids: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, LayerState]:
        mixed, state = self.mixer(self.norm(residual), state, segment_ids, lengths)
        return self._add(residual, mixed), state

    def step(self, residual: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """One token: residual (b, d_model)."""
        mixed, state = self.mixer.step(self.norm(residual), state)
        return self._add(residual, mixed), state

    def _add(self, residual: Tensor, mixed: Tensor) -> Tensor:
        residual = residual + self.dropout(mixed)
        if self.norm2 is not None and self.mlp is not None:
            residual = residual + self.dropout2(self.mlp(self.norm2(residual)))
        return residual
