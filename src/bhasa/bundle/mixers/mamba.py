"""Mamba: `MambaForCausalLM` of transformers, `Mamba` of state-spaces/mamba."""

from collections.abc import Mapping
from typing import Any

from bhasa.bundle.mixers import Names, PublishedMixer, Values
from bhasa.bundle.weights import Shapes
from bhasa.model.config import ModelConfig

OFFICIAL = {
    "d_state": "d_state",
    "d_conv": "d_conv",
    "expand": "expand",
    "use_bias": "bias",
    "conv_bias": "conv_bias",
    "dt_min": "dt_min",
    "dt_max": "dt_max",
    "dt_init_floor": "dt_init_floor",
}
"""Keys of `ssm_cfg` that both mixers have there."""


def _keys(config: ModelConfig) -> dict[str, Any]:
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


def _read(values: Values, published: Mapping[str, Any], where: str) -> Values:
    return values


def _sizes(shapes: Shapes, values: Values, where: str, names: Names) -> Values:
    match [shapes.get(name) for name in ("A_log", "conv1d.weight", "dt_proj.weight")]:
        case [(inner, states), (_, 1, taps), (_, rank)]:
            return {"d_inner": inner, "d_state": states, "d_conv": taps, "dt_rank": rank}
    return {}


PUBLISHED = PublishedMixer(
    architecture="MambaForCausalLM",
    adaptable=("in_proj", "x_proj"),  # it multiplies by dt_proj.weight itself; peft refuses out_proj
    names={},
    keys=_keys,
    read=_read,
    defaults={},
    official_layer="Mamba1",
    official_names=OFFICIAL | {"dt_rank": "dt_rank"},
    official_defaults={},
    sizes=_sizes,
)
