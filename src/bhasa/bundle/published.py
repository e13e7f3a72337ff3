"""`config.json` in the Hugging Face layout, both ways."""

import re
from collections.abc import Mapping
from typing import Any, Literal

import torch

from bhasa.bundle.sizes import agree
from bhasa.bundle.weights import Shapes
from bhasa.errors import UserError
from bhasa.model.config import ModelConfig
from bhasa.tokens.special import END_OF_TEXT

Kind = Literal["mamba", "mamba2", "bhasa"]

CLASSES: dict[Kind, str] = {
    "mamba": "MambaForCausalLM",
    "mamba2": "Mamba2ForCausalLM",
    "bhasa": "BhasaForCausalLM",
}
"""What `architectures` names for each `model_type`."""

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
_MAMBA2 = {"headdim": "head_dim", "ngroups": "n_groups", "nheads": "num_heads"}
_OWN_KEYS = ("d_intermediate", "norm", "dropout")
_OWN_MIXERS = ("pattern", "ssm", "attention", "headdim", "ngroups", "dt_limit")
"""What a folder of our own kind says besides; one written before there were these has the defaults."""

_MAMBA2_DEFAULTS = {"vocab_size": 32768, "tie_embeddings": False, "headdim": 64}
_LARGEST = torch.finfo(torch.float32).max  # stands for infinity, which our configs cannot say
_INFINITY = {"__float__": "Infinity"}  # how transformers writes it in JSON


def is_published_layout(config: ModelConfig) -> bool:
    """Whether transformers can express this architecture."""
    return kind_of(config) != "bhasa"


def kind_of(config: ModelConfig) -> Kind:
    """The `model_type` of an architecture."""
    for kind in ("mamba", "mamba2"):
        if set(config.layers) == {kind} and config.d_intermediate == 0 and config.norm == "rms":
            return kind
    return "bhasa"


def to_published(config: ModelConfig, dtype: str = "float32") -> dict[str, Any]:
    """`config.json`: every key of transformers' class of that kind, and ours for what it has not."""
    kind = kind_of(config)
    values = config.as_mapping() | {"dt_rank": config.resolved_dt_rank}
    return {
        "architectures": [CLASSES[kind]],
        "model_type": kind,
        **{theirs: values[ours] for ours, theirs in _FRAME.items()},
        **(_mamba2_keys(config) if kind == "mamba2" else _mamba_keys(config)),
        "bos_token_id": END_OF_TEXT,
        "eos_token_id": END_OF_TEXT,
        "pad_token_id": END_OF_TEXT,
        "dtype": dtype,
        **{key: values[key] for key in _OWN_KEYS + (_OWN_MIXERS if kind == "bhasa" else ())},
    }


def _mamba_keys(config: ModelConfig) -> dict[str, Any]:
    return {
        "intermediate_size": config.d_inner,
        "hidden_act": "silu",
        "residual_in_fp32": True,
        "time_step_scale": 1.0,
        "time_step_init_scheme": "random",
        # It concerns fresh weights only, and transformers 5.23 redraws a loaded out_proj when it is true.
        "rescale_prenorm_residual": False,
        "use_cache": True,
        "use_mambapy": False,
        "use_associative_scan": True,
    }


def _mamba2_keys(config: ModelConfig) -> dict[str, Any]:
    lower, upper = config.dt_limit or (0.0, _LARGEST)
    return {
        "num_heads": config.nheads,
        "head_dim": config.headdim,
        "n_groups": config.ngroups,
        "time_step_limit": [lower, _INFINITY if upper == _LARGEST else upper],
        "chunk_size": 256,  # how it is computed, not what
        "hidden_act": "silu",
        "residual_in_fp32": True,
        "rescale_prenorm_residual": False,  # as above
        "use_cache": True,
    }


def from_published(published: Mapping[str, Any], where: str, shapes: Shapes | None = None) -> ModelConfig:
    """The inverse of `to_published`. Where `shapes` of the tensors contradict the file, they win."""
    kind = published.get("model_type")
    if not isinstance(kind, str) or kind not in CLASSES:
        raise UserError(f"{where}: model_type: found {kind!r}; allowed: {', '.join(CLASSES)}")
    if published.get("hidden_act", "silu") != "silu":
        raise UserError(f"{where}: hidden_act: found {published['hidden_act']!r}; allowed: silu")
    names = _FRAME | {"d_inner": "intermediate_size"} | (_MAMBA2 if kind == "mamba2" else {})
    own = _OWN_KEYS + (_OWN_MIXERS if kind == "bhasa" else ())
    values = {ours: published[theirs] for ours, theirs in names.items() if theirs in published}
    values |= {key: published[key] for key in own if key in published}
    if kind == "mamba2":
        values = _with_defaults_of_mamba2(values, published, where)
    if kind != "bhasa":
        values = agree(values, shapes or {}, where, names)
    if kind == "mamba2":
        values = {"d_state": 128, "ngroups": 8} | values
    try:
        return ModelConfig.parse(_with_expand(values, where), where)
    except UserError as error:
        raise UserError(_in_published_keys(str(error), where, names)) from None


def _with_defaults_of_mamba2(
    values: Mapping[str, Any], published: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """With what `Mamba2Config` has where a file has nothing, but for what the weights tell better."""
    return {
        **_MAMBA2_DEFAULTS,
        **({} if "ngroups" in values else {"d_state": 128}),
        **values,
        "ssm": "mamba2",
        "dt_limit": limit(published.get("time_step_limit", (0.0, _INFINITY)), f"{where}: time_step_limit"),
    }


def limit(found: Any, where: str) -> tuple[float, float] | None:
    """`dt_limit` as files have it, in which infinity may be a number of Python's or an object."""
    match found:
        case [int() | float() as lower, {"__float__": "Infinity"}]:
            upper = _LARGEST
        case [int() | float() as lower, int() | float() as upper]:
            upper = min(upper, _LARGEST)
        case _:
            raise UserError(f"{where}: found {found!r}; allowed: two numbers")
    return None if (lower, upper) == (0.0, _LARGEST) else (float(lower), float(upper))


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
