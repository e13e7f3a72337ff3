"""Which models the native step stands for: those made of nothing but what it knows."""

import importlib
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn

from bhasa.inference.native.mixer import NativeMixer, Part
from bhasa.inference.native.mlp import parts_of
from bhasa.model.block import Block, RMSNorm
from bhasa.model.language_model import LanguageModel
from bhasa.model.mixers import MIXERS
from bhasa.model.mixers.mlp import GatedMLP
from bhasa.ops import native

NORMS = {"rms": RMSNorm, "layer": nn.LayerNorm}


def native_mixer(name: str) -> type[NativeMixer[Any]] | None:
    """The native step of a mixer, by its name in `ModelConfig.layers`; None if it has none."""
    decode = MIXERS[name].decode
    if decode is None:
        return None
    mixer: type[NativeMixer[Any]] = importlib.import_module(decode, __package__).MIXER
    return mixer


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
    if model.backend not in ("auto", "native"):
        return f"its backend is {model.backend}"
    if model.training and model.config.dropout:
        return "it drops activations while it trains"
    return next(_unknown(model), None)


def _unknown(model: LanguageModel) -> Iterator[str]:
    """Parts of the model that are not what the kernel computes."""
    norm = NORMS[model.config.norm]
    yield from _others(_outer_parts(model, norm))
    for name, block in zip(model.config.layers, model.backbone.layers, strict=True):
        if type(block) is not Block:
            yield f"a block is a {type(block).__name__}"
            return
        yield from _others(_own_parts(block, norm))
        yield from _others([("mixer", block.mixer, MIXERS[name].load())])
        mixer = native_mixer(name)
        if mixer is None:
            yield f"{MIXERS[name].title} has no native step"
            return
        yield from _others(mixer.parts(block.mixer))


def _outer_parts(model: LanguageModel, norm: type[nn.Module]) -> Iterator[Part]:
    yield "embeddings", model.backbone.embeddings, nn.Embedding
    yield "lm_head", model.lm_head, nn.Linear
    yield "norm_f", model.backbone.norm_f, norm


def _own_parts(block: Block, norm: type[nn.Module]) -> Iterator[Part]:
    """All but the mixer."""
    yield "norm", block.norm, norm
    if block.mlp is not None and block.norm2 is not None:
        yield "norm2", block.norm2, norm
        yield "mlp", block.mlp, GatedMLP
        yield from parts_of(block.mlp)


def _others(parts: Iterable[Part]) -> Iterator[str]:
    for name, part, kind in parts:
        if type(part) is not kind:
            yield f"{name} is a {type(part).__name__}"
