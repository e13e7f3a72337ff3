"""The native step of a whole model."""

import torch
from torch import Tensor, nn

from bhasa.inference.native.mixer import Memory
from bhasa.inference.native.mlp import structure_of
from bhasa.inference.native.support import missing, native_mixer
from bhasa.model.block import Block, RMSNorm
from bhasa.model.language_model import LanguageModel
from bhasa.model.mixers.protocol import State
from bhasa.ops import native
from bhasa.ops.native import DecodeArguments, DecodeLayer, DecodeNorm, address


class NativeStepper:
    """`LanguageModel.step` at batch one, for a model of which nothing is `missing`.

    Weights changed in place after it was made are seen, but for A: make it anew after training.
    """

    def __init__(self, model: LanguageModel) -> None:
        reason = missing(model)
        if reason is not None:  # the kernel would read what is not there
            raise ValueError(f"no native step for this model: {reason}")
        config, backbone, memory = model.config, model.backbone, Memory()
        blocks = [block for block in backbone.layers if isinstance(block, Block)]
        kinds = [native_mixer(name) for name in config.layers]
        self._mixers = [kind(b.mixer, memory) for kind, b in zip(kinds, blocks, strict=True) if kind]
        self.state: State = model.initial_state(1)
        """The state after the last token it read: its own, changed by every step."""
        self._vocabulary = config.vocab_size
        self._memory = memory  # alive as long as the arguments that point to it
        layers = [
            DecodeLayer(
                mixer.code,
                _norm(block.norm, memory),
                memory.keep_structure(mixer.structure),
                *_mlp(block, memory),
            )
            for block, mixer in zip(blocks, self._mixers, strict=True)
        ]
        read = [*backbone.layers.parameters(), model.lm_head.weight]
        self._arguments = DecodeArguments(
            *(config.n_layer, config.d_model, config.vocab_size),
            max(config.d_model, *(mixer.own for mixer in self._mixers)),
            sum(parameter.nbytes for parameter in read),
            (DecodeLayer * len(layers))(*layers),
            memory.keep(backbone.embeddings.weight),
            memory.keep(model.lm_head.weight),
            _norm(backbone.norm_f, memory),
            *memory.scratch(residual=config.d_model),
        )

    def step(self, token: int, state: State) -> Tensor:
        """The logits (V,) after `token`, read after `state`, which is copied unless it is `self.state`."""
        if not 0 <= token < self._vocabulary:
            raise IndexError(f"token {token} is not in a vocabulary of {self._vocabulary}")
        if state is not self.state:
            for mixer, other in zip(self._mixers, state, strict=True):
                mixer.read(other)
        self.state[:] = [mixer.advance() for mixer in self._mixers]
        logits = torch.empty(self._vocabulary)
        self._arguments.token, self._arguments.logits = token, address(logits)
        native.call("decode_step", self._arguments)
        return logits


def _norm(norm: nn.Module, memory: Memory) -> DecodeNorm:
    assert isinstance(norm, RMSNorm | nn.LayerNorm)
    bias = norm.bias if isinstance(norm, nn.LayerNorm) else None
    return DecodeNorm(memory.keep(norm.weight), memory.keep(bias), norm.eps)


def _mlp(block: Block, memory: Memory) -> tuple[DecodeNorm, int | None]:
    if block.mlp is None or block.norm2 is None:
        return DecodeNorm(), None
    return _norm(block.norm2, memory), memory.keep_structure(structure_of(block.mlp, memory))
