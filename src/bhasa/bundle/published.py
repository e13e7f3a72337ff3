"""`config.json` in the Hugging Face layout, both ways."""

import re
from collections.abc import Mapping
from typing import Any

from bhasa.bundle.mixers import published_mixers
from bhasa.bundle.mixers.mamba import PUBLISHED as MAMBA
from bhasa.bundle.sizes import agree
from bhasa.bundle.weights import Shapes
from bhasa.errors import UserError
from bhasa.model.config import ModelConfig
from bhasa.tokens.special import END_OF_TEXT

OWN, OWN_ARCHITECTURE = "bhasa", "BhasaForCausalLM"
"""`model_type`, and what `architectures` names, of models that transformers has not."""

NO_LIMIT = 1 << 20
"""Tokens. A state has room for a text of any length, but programs that find no number, such as
lm-evaluation-harness, cut texts at 2,048; this is what llama.cpp writes for a Mamba."""

# Ours to theirs, for the fields whose value passes unchanged.
_FRAME = {
    "vocab_size": "vocab_size",
    "d_model": "hidden_size",
    "d_state": "state_size",
    "n_layer": "num_hidden_layers",
    "norm_eps": "layer_norm_epsilon",
    "expand": "expand",
    "d_conv": "conv_kernel",
    "use_bias": "use_bias",
    "conv_bias": "use_conv_bias",
    "initializer_range": "initializer_range",
    "dt_rank": "time_step_rank",
    "dt_min": "time_step_min",
    "dt_max": "time_step_max",
    "dt_init_floor": "time_step_floor",
    "tie_embeddings": "tie_word_embeddings",
}
_OWN_KEYS = ("d_intermediate", "norm", "dropout")
_OWN_MIXERS = tuple(
    key
    for key in ModelConfig.model_fields
    if key not in {*_FRAME, *_OWN_KEYS, "rescale_prenorm_residual"}  # the last concerns fresh weights only
)
"""What a folder of `OWN` type has besides; where a file lacks one, because it is older, the default holds."""


def is_published_layout(config: ModelConfig) -> bool:
    """Whether transformers can express this architecture."""
    return model_type(config) != OWN


def model_type(config: ModelConfig) -> str:
    """The `model_type` of an architecture."""
    for name in published_mixers():
        if set(config.layers) == {name} and config.d_intermediate == 0 and config.norm == "rms":
            return name
    return OWN


def adaptable(config: ModelConfig) -> tuple[str, ...]:
    """Projections that peft adapts in transformers' class of this architecture; none if there is no class."""
    mixer = published_mixers().get(model_type(config))
    return mixer.adaptable if mixer else ()


def to_published(config: ModelConfig, dtype: str = "float32") -> dict[str, Any]:
    """`config.json`: every key of transformers' class of that type, and ours for what it has not."""
    name = model_type(config)
    mixer = published_mixers().get(name)
    values = config.as_mapping() | {"dt_rank": config.resolved_dt_rank}
    return {
        "architectures": [mixer.architecture if mixer else OWN_ARCHITECTURE],
        "model_type": name,
        **{theirs: values[ours] for ours, theirs in _FRAME.items()},
        **(mixer or MAMBA).keys(config),
        "bos_token_id": END_OF_TEXT,
        "eos_token_id": END_OF_TEXT,
        "pad_token_id": END_OF_TEXT,
        "dtype": dtype,
        **({"max_position_embeddings": NO_LIMIT} if mixer else {}),
        **{key: values[key] for key in _OWN_KEYS + (() if mixer else _OWN_MIXERS)},
    }


def from_published(published: Mapping[str, Any], where: str, shapes: Shapes | None = None) -> ModelConfig:
    """The inverse of `to_published`. Where `shapes` of the tensors contradict the file, they win."""
    name, mixers = published.get("model_type"), published_mixers()
    if not isinstance(name, str) or name not in {*mixers, OWN}:
        raise UserError(f"{where}: model_type: found {name!r}; allowed: {', '.join([*mixers, OWN])}")
    if published.get("hidden_act", "silu") != "silu":
        raise UserError(f"{where}: hidden_act: found {published['hidden_act']!r}; allowed: silu")
    mixer = mixers.get(name)
    names = _FRAME | {"d_inner": "intermediate_size"} | dict(mixer.names if mixer else {})
    values = {ours: published[theirs] for ours, theirs in names.items() if theirs in published}
    own = _OWN_KEYS + (() if mixer else _OWN_MIXERS)
    values |= {key: published[key] for key in own if key in published}
    if mixer:
        values = mixer.read(values | {"ssm": name}, published, where)
        values = mixer.defaults | agree(values, shapes or {}, where, names)
    try:
        return ModelConfig.parse(_with_expand(values, where), where)
    except UserError as error:
        raise UserError(_in_published_keys(str(error), where, names)) from None


def _with_expand(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """`values` of `ModelConfig` alone: the inner width gives expand, and the heads must fill it."""
    values = dict(values)
    inner, heads, width = values.pop("d_inner", None), values.pop("nheads", None), values.get("d_model")
    if isinstance(inner, int) and isinstance(width, int) and width > 0:
        if inner <= 0 or inner % width:
            raise UserError(
                f"{where}: intermediate_size: found {inner}; allowed: a multiple of hidden_size ({width})"
            )
        values["expand"] = inner // width
    expand, headdim = values.get("expand", 2), values.get("headdim")
    whole = all(isinstance(size, int) for size in (heads, headdim, expand, width))
    if whole and heads * headdim != expand * width:
        raise UserError(
            f"{where}: num_heads ({heads}) times head_dim ({headdim}) must be "
            f"expand ({expand}) times hidden_size ({width})"
        )
    return values


def _in_published_keys(message: str, where: str, names: Mapping[str, str]) -> str:
    """Lines of an error, each of which begins with `where`, with the file's names of keys for ours."""
    found = (line.removeprefix(where) for line in message.splitlines())
    return "\n".join(where + re.sub(r"\w+", lambda word: names.get(word[0], word[0]), line) for line in found)
