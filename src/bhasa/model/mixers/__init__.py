"""Sequence mixers: what moves information between tokens, each with a state of its own kind.

`protocol.py` says what a mixer is; a new one is a file, and its record in `MIXERS`. The records name modules,
which are imported when they are needed, so that reading a config imports no torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bhasa.model.config import ModelConfig
    from bhasa.model.mixers.protocol import Mixer


@dataclass(frozen=True)
class MixerKind:
    """All that is known of a mixer beside its own code.

    The modules named last are optional. A leading dot means the package that reads them: `.mamba` as `onnx`
    is `bhasa.export.graph.mamba`, as `importlib.import_module` has it.
    """

    letter: str
    """What stands for it in a pattern; `M` is shared by those that `ssm` chooses from."""
    title: str
    """What people call it."""
    implementation: tuple[str, str]
    """Its module and its class, a `protocol.Mixer`."""
    activations: Callable[[ModelConfig], int]
    """Numbers per token that backward through it needs, with the fused operations."""
    decode: str | None = None
    """Its native decoding step, of `bhasa.inference.native`; None: torch decodes."""
    onnx: str | None = None
    """Its step in an ONNX graph, of `bhasa.export.graph`; None: there is no export to ONNX."""
    published: str | None = None
    """How others' files describe it, of `bundle.mixers`; None: bhasa alone opens such models."""

    def load(self) -> type[Mixer[Any]]:
        """The class."""
        module, name = self.implementation
        mixer: type[Mixer[Any]] = getattr(importlib.import_module(module), name)
        return mixer


STATE_SPACE = "M"
"""The letter of the mixers that `ssm` chooses from."""

MIXERS = {
    "mamba": MixerKind(
        letter=STATE_SPACE,
        title="Mamba",
        implementation=("bhasa.model.mixers.mamba", "Mamba"),
        activations=lambda config: 6 * config.d_inner,
        decode=".mamba",
        onnx=".mamba",
        published=".mamba",
    ),
    "mamba2": MixerKind(
        letter=STATE_SPACE,
        title="Mamba-2",
        implementation=("bhasa.model.mixers.mamba2", "Mamba2"),
        activations=lambda config: 7 * config.d_inner + 4 * config.ngroups * config.d_state,
        decode=".mamba2",
        onnx=".mamba2",
        published=".mamba2",
    ),
    "attention": MixerKind(
        letter="*",
        title="attention",
        implementation=("bhasa.model.mixers.attention", "Attention"),
        activations=lambda config: (
            4 * config.head_dim * (config.attention.num_heads + config.attention.resolved_heads_kv)
        ),
        decode=".attention",
        onnx=".attention",
    ),
    "mlp": MixerKind(
        letter="-",
        title="MLP",
        implementation=("bhasa.model.mixers.mlp", "MLP"),
        activations=lambda config: 5 * config.d_intermediate,
        decode=".mlp",
        onnx=".mlp",
    ),
}
"""By the names that `ModelConfig.layers` gives."""


def state_space_mixers() -> list[str]:
    """The names that `ssm` may have."""
    return [name for name, kind in MIXERS.items() if kind.letter == STATE_SPACE]
