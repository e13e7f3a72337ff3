"""`ops/native/decode_mamba.h`."""

from collections.abc import Iterator

import torch
from torch import nn

from bhasa.inference.native.mixer import FixedState, Memory, Part, named
from bhasa.model.mixers.mamba import Mamba, StepSizeProjection
from bhasa.ops.native import DecodeMamba
from bhasa.ops.native.structures import DECODE_MAMBA


class NativeMamba(FixedState[Mamba]):
    code = DECODE_MAMBA

    @classmethod
    def parts(cls, mixer: Mamba) -> Iterator[Part]:
        yield from named(mixer, nn.Linear, "in_proj", "x_proj", "out_proj")
        yield from named(mixer, nn.Conv1d, "conv1d")
        yield from named(mixer, StepSizeProjection, "dt_proj")

    def __init__(self, mixer: Mamba, memory: Memory) -> None:
        config, m = mixer.config, mixer
        channels, states, rank = config.d_inner, config.d_state, config.resolved_dt_rank
        self.state = mixer.initial_state(1)
        tensors = (
            *(m.in_proj.weight, m.in_proj.bias, m.conv1d.weight, m.conv1d.bias, m.x_proj.weight),
            *(m.dt_proj.weight, m.dt_proj.bias, -torch.exp(m.A_log.detach()), m.D),
            *(m.out_proj.weight, m.out_proj.bias, *self.state),
        )
        self.structure = DecodeMamba(
            *(channels, states, config.d_conv, rank),
            *map(memory.keep, tensors),
            *memory.scratch(x=channels, z=channels, dt=channels, y=channels, projected=rank + 2 * states),
        )


MIXER = NativeMamba
