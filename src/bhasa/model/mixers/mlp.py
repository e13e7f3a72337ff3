"""The gated MLP: inside a block after its mixer, or a layer of its own, which has no state."""

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from bhasa.model.config import ModelConfig
from bhasa.model.mixers.protocol import Mixer, scale_output


class GatedMLP(nn.Module):
    """fc2(value * silu(gate)) with (value, gate) = fc1(hidden): `GatedMLP` of state-spaces/mamba."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.d_model, 2 * config.d_intermediate, bias=False)
        self.fc2 = nn.Linear(config.d_intermediate, config.d_model, bias=False)
        scale_output(self.fc2, config)

    def forward(self, hidden: Tensor) -> Tensor:
        value, gate = self.fc1(hidden).chunk(2, dim=-1)  # (..., d_intermediate)
        out: Tensor = self.fc2(value * F.silu(gate))
        return out


class NoState(NamedTuple):
    """The empty state of a layer that looks at one token alone."""


class MLP(Mixer[NoState]):
    """A gated MLP where the pattern has `-`."""

    def __init__(self, config: ModelConfig, backend: str = "auto") -> None:
        super().__init__(config, backend)
        self.mlp = GatedMLP(config)

    def forward(
        self,
        hidden: Tensor,
        state: NoState | None = None,
        segment_ids: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> tuple[Tensor, NoState]:
        return self.mlp(hidden), NoState()

    def step(self, hidden: Tensor, state: NoState) -> tuple[Tensor, NoState]:
        return self.mlp(hidden), state

    def initial_state(self, batch_size: int) -> NoState:
        return NoState()
