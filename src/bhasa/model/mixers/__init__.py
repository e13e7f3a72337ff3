"""Sequence mixers: what moves information between tokens, each with a state of its own kind.

`protocol.py` says what a mixer is; a new one is a file, and a line here.
"""

from typing import Any

from bhasa.model.mixers.attention import Attention
from bhasa.model.mixers.mamba import Mamba
from bhasa.model.mixers.mamba2 import Mamba2
from bhasa.model.mixers.mlp import MLP
from bhasa.model.mixers.protocol import LayerState, Mixer, State, map_state

MIXERS: dict[str, type[Mixer[Any]]] = {
    "mamba": Mamba,
    "mamba2": Mamba2,
    "attention": Attention,
    "mlp": MLP,
}
"""By the names that `ModelConfig.layers` gives."""

__all__ = ["MIXERS", "LayerState", "Mixer", "State", "map_state"]
