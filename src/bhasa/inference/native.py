"""One token in one call of native code: `ops/native/decode.h` is the text to read.

In torch a step is some 25 calls a layer, each of which costs more than the arithmetic of a small model. Here
the kernel reads the parameters where they lie and changes a state of its own in place.
"""

import torch
from torch import Tensor, nn

from bhasa.model.block import Block, RMSNorm
from bhasa.model.language_model import LanguageModel
from bhasa.model.mixers import State
from bhasa.model.mixers.mamba import Mamba, MambaState, StepSizeProjection
from bhasa.ops import native
from bhasa.ops.native import DecodeArguments, DecodeLayer, address


def missing(model: nn.Module) -> str | None:
    """Why `NativeStepper` cannot stand for `model.step`; None when it can."""
    if type(model) is not LanguageModel:
        return f"it is a {type(model).__name__}"
    for name, parameter in model.named_parameters():
        if parameter.dtype != torch.float32 or not parameter.is_contiguous():
            return f"{name} is not plain float32"
        reason = native.missing(parameter.device, parameter.dtype)
        if reason:
            return reason
    if model.training and model.config.dropout:
        return "it drops activations while it trains"
    parts = [("embeddings", model.backbone.embeddings, nn.Embedding), ("lm_head", model.lm_head, nn.Linear)]
    parts.append(("norm_f", model.backbone.norm_f, RMSNorm))
    for block in model.backbone.layers:
        if type(block) is not Block or block.mlp is not None:
            return "a block is more than norm and mixer"
        if type(block.mixer) is not Mamba:
            return f"a block has {type(block.mixer).__name__} and not Mamba"
        if block.mixer.scan_backend not in ("auto", "native"):
            return f"its backend is {block.mixer.scan_backend}"
        parts += [("norm", block.norm, RMSNorm), *_mixer_parts(block.mixer)]
    for name, part, kind in parts:
        if type(part) is not kind:
            return f"{name} is a {type(part).__name__}"
    return None


def _mixer_parts(mixer: Mamba) -> list[tuple[str, nn.Module, type[nn.Module]]]:
    """Modules by name, and what the kernel knows them to be."""
    linear = [(name, getattr(mixer, name), nn.Linear) for name in ("in_proj", "x_proj", "out_proj")]
    return [*linear, ("conv1d", mixer.conv1d, nn.Conv1d), ("dt_proj", mixer.dt_proj, StepSizeProjection)]


class NativeStepper:
    """`LanguageModel.step` at batch one, for a model of which nothing is `missing`.

    Weights changed in place after it was made are seen, but for A: make it anew after training.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.state: State = model.initial_state(1)
        """The state after the last token it read: its own, changed by every step."""
        config, backbone = model.config, model.backbone
        width, channels = config.d_model, config.d_inner
        states, rank = config.d_state, config.resolved_dt_rank
        self._alive: list[Tensor] = []  # all memory that the arguments point to
        outer = (backbone.embeddings.weight, backbone.norm_f.weight, model.lm_head.weight)
        scratch = (torch.empty(n) for n in (width, channels, channels, channels, channels, rank + 2 * states))
        layers = [self._layer(block, state) for block, state in zip(backbone.layers, self.state, strict=True)]
        self._vocabulary = config.vocab_size
        self._arguments = DecodeArguments(
            *(config.n_layer, width, channels, states, config.d_conv, rank, self._vocabulary),
            config.norm_eps,
            (DecodeLayer * len(layers))(*layers),
            *(self._keep(weight) for weight in outer),  # type: ignore[arg-type]
            *map(self._keep, scratch),
        )

    def step(self, token: int, state: State) -> Tensor:
        """The logits (V,) after `token`, read after `state`, which is copied unless it is `self.state`."""
        if not 0 <= token < self._vocabulary:
            raise IndexError(f"token {token} is not in a vocabulary of {self._vocabulary}")
        if state is not self.state:
            for own, other in zip(self.state, state, strict=True):
                own.conv.copy_(other.conv)
                own.ssm.copy_(other.ssm)
        logits = torch.empty(self._vocabulary)
        self._arguments.token, self._arguments.logits = token, address(logits)
        native.call("decode_step", self._arguments)
        return logits

    def _layer(self, block: nn.Module, state: MambaState) -> DecodeLayer:
        assert isinstance(block, Block)
        m = block.mixer
        assert isinstance(m, Mamba)
        tensors = (
            *(block.norm.weight, m.in_proj.weight, m.in_proj.bias, m.conv1d.weight, m.conv1d.bias),
            *(m.x_proj.weight, m.dt_proj.weight, m.dt_proj.bias, -torch.exp(m.A_log.detach()), m.D),
            *(m.out_proj.weight, m.out_proj.bias, *state),
        )
        return DecodeLayer(*(self._keep(tensor) for tensor in tensors))  # type: ignore[arg-type]

    def _keep(self, tensor: Tensor | None) -> int | None:
        """The tensor's address; its memory stays, also where the model's parameters are put elsewhere."""
        if tensor is not None:
            self._alive.append(tensor.detach())
        return address(tensor)
