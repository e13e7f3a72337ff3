"""`ops/native/decode_mamba2.h`."""

from collections.abc import Iterator

import torch
from torch import nn

from bhasa.inference.native.mixer import FixedState, Memory, Part, named
from bhasa.model.mixers.mamba2 import GatedRMSNorm, Mamba2
from bhasa.ops.native import DecodeMamba2, DecodeNorm
from bhasa.ops.native.structures import DECODE_MAMBA2


class NativeMamba2(FixedState[Mamba2]):
    code = DECODE_MAMBA2

    @classmethod
    def parts(cls, mixer: Mamba2) -> Iterator[Part]:
        yield from named(mixer, nn.Linear, "in_proj", "out_proj")
        yield from named(mixer, nn.Conv1d, "conv1d")
        yield from named(mixer, GatedRMSNorm, "norm")

    def __init__(self, mixer: Mamba2, memory: Memory) -> None:
        config, m = mixer.config, mixer
        channels, heads = config.d_inner, config.nheads
        self.state, self.own = mixer.initial_state(1), channels
        tensors = (
            *(m.in_proj.weight, m.in_proj.bias, m.conv1d.weight, m.conv1d.bias),
            *(m.dt_bias, -torch.exp(m.A_log.detach()), m.D),
            *(m.out_proj.weight, m.out_proj.bias, *self.state),
        )
        scratch = {"z": channels, "y": channels, "x": m.conv1d.in_channels, "dt": heads, "decay": heads}
        self.structure = DecodeMamba2(
            *(heads, config.headdim, config.ngroups, config.d_state, config.d_conv),
            *m.dt_limit,
            DecodeNorm(memory.keep(m.norm.weight), None, m.norm.eps),
            *map(memory.keep, tensors),
            *memory.scratch(**scratch),
        )


MIXER = NativeMamba2
