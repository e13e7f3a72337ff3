"""`ops/native/decode_mlp.h`."""

from collections.abc import Iterator

from torch import nn

from bhasa.inference.native.mixer import FixedState, Memory, Part, named
from bhasa.model.mixers.mlp import MLP, GatedMLP
from bhasa.ops.native import DecodeMlp
from bhasa.ops.native.structures import DECODE_MLP


def parts_of(mlp: GatedMLP) -> Iterator[Part]:
    """The parts of an MLP, which may stand in a layer of its own or after a mixer."""
    return named(mlp, nn.Linear, "fc1", "fc2")


def structure_of(mlp: GatedMLP, memory: Memory) -> DecodeMlp:
    inner = mlp.fc2.in_features
    weights = memory.keep(mlp.fc1.weight), memory.keep(mlp.fc2.weight)
    return DecodeMlp(inner, *weights, *memory.scratch(y=inner, gate=inner))


class NativeMlp(FixedState[MLP]):
    code = DECODE_MLP

    @classmethod
    def parts(cls, mixer: MLP) -> Iterator[Part]:
        yield from named(mixer, GatedMLP, "mlp")
        yield from parts_of(mixer.mlp)

    def __init__(self, mixer: MLP, memory: Memory) -> None:
        self.state = mixer.initial_state(1)
        self.structure = structure_of(mixer.mlp, memory)


MIXER = NativeMlp
