"""Mamba-2: `Mamba2ForCausalLM` of transformers, `Mamba2` of state-spaces/mamba."""

from collections.abc import Mapping
from typing import Any

import torch

from bhasa.bundle.mixers import Names, PublishedMixer, Values
from bhasa.bundle.mixers.mamba import OFFICIAL
from bhasa.bundle.weights import Shapes
from bhasa.errors import UserError
from bhasa.model.config import ModelConfig

_LARGEST = torch.finfo(torch.float32).max  # stands for infinity, which our configs cannot hold
_INFINITY = {"__float__": "Infinity"}  # how transformers writes it in JSON


def _keys(config: ModelConfig) -> dict[str, Any]:
    lower, upper = config.dt_limit or (0.0, _LARGEST)
    return {
        "num_heads": config.nheads,
        "head_dim": config.headdim,
        "n_groups": config.ngroups,
        "time_step_limit": [lower, _INFINITY if upper == _LARGEST else upper],
        "chunk_size": 256,  # how it is computed, not what
        "hidden_act": "silu",
        "residual_in_fp32": True,
        "rescale_prenorm_residual": False,  # as in `mamba.py`
        "use_cache": True,
    }


def _read(values: Values, published: Mapping[str, Any], where: str) -> Values:
    return {
        **{"vocab_size": 32768, "tie_embeddings": False, "headdim": 64},
        **({} if "ngroups" in values else {"d_state": 128}),
        **values,
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


def _sizes(shapes: Shapes, values: Values, where: str, names: Names) -> Values:
    match [shapes.get(name) for name in ("A_log", "conv1d.weight", "norm.weight")]:
        case [(heads,), (channels, 1, taps), (inner,)] if heads and inner % heads == 0 and channels > inner:
            sizes = {"d_inner": inner, "nheads": heads, "headdim": inner // heads, "d_conv": taps}
            return sizes | _groups((channels - inner) // 2, values, where, names)
    return {}


def _groups(grouped: int, values: Values, where: str, names: Names) -> dict[str, int]:
    """ngroups and d_state from their product, all that shapes say, and what the file has for one of them."""
    groups, states = values.get("ngroups"), values.get("d_state")
    if isinstance(groups, int) and isinstance(states, int) and groups * states == grouped:
        return {}
    if groups is None and isinstance(states, int) and states > 0 and grouped % states == 0:
        return {"ngroups": grouped // states, "d_state": states}
    if states is None and isinstance(groups, int) and groups > 0 and grouped % groups == 0:
        return {"ngroups": groups, "d_state": grouped // groups}
    raise UserError(
        f"{where}: {names['ngroups']} {groups} times {names['d_state']} {states} must be {grouped}, which is "
        "what the weights have; put the wrong one of them right"
    )


PUBLISHED = PublishedMixer(
    architecture="Mamba2ForCausalLM",
    adaptable=("in_proj",),  # peft refuses out_proj
    names={"headdim": "head_dim", "ngroups": "n_groups", "nheads": "num_heads"},
    keys=_keys,
    read=_read,
    defaults={"d_state": 128, "ngroups": 8},
    official_layer="Mamba2",
    official_names=OFFICIAL | {"headdim": "headdim", "ngroups": "ngroups", "dt_limit": "dt_limit"},
    official_defaults={"d_state": 128},
    sizes=_sizes,
)
