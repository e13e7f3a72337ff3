"""An architecture read off the shapes of its tensors, and put right where a published file has it wrong.

Official Mamba-2 files say nothing that a reader of the Hugging Face layout looks for, so it takes defaults of
another model (state-spaces/mamba#752, huggingface/transformers#34167); others contradict themselves. What
the tensors say is true, so that is used, and one line says what was wrong.
"""

import re
import sys
from collections.abc import Mapping
from typing import Any

from bhasa.bundle.weights import EMBEDDINGS, Shapes
from bhasa.errors import UserError
from bhasa.model.config import ModelConfig

_MIXER = "backbone.layers.0.mixer."


def agree(values: Mapping[str, Any], shapes: Shapes, where: str, names: Mapping[str, str]) -> dict[str, Any]:
    """`values` of `ModelConfig`, as a file has them, with those that its tensors contradict replaced.

    `d_inner` and `nheads` may be among them. Values of the file win where shapes cannot tell. `names` are the
    file's own words for the keys, for the line that says what was replaced.
    """
    told = _sizes(shapes, values.get("ssm", "mamba"))
    if "grouped" in told:
        told |= _groups(told.pop("grouped"), values, where, names)
    if "d_inner" in values:
        told.pop("expand", None)  # Falcon-Mamba's file says expand 16 and means 2: the width itself counts
    wrong = {key: size for key, size in told.items() if _said(key, values, told) != size}
    if wrong:
        listing = ", ".join(
            f"{names.get(key, key)} is {size} and not {values.get(key, 'said')}"
            for key, size in wrong.items()
        )
        print(f"note: {where} contradicts its weights, which are believed: {listing}", file=sys.stderr)
    return {**values, **wrong}


def _said(key: str, values: Mapping[str, Any], told: Mapping[str, Any]) -> Any:
    """What the file has for a key, or means by having nothing."""
    if key in ("d_inner", "nheads") and key not in values:
        return told[key]  # follows from others
    default = ModelConfig.model_fields[key].get_default() if key in ModelConfig.model_fields else None
    said = values.get(key, default)
    return -(-told["d_model"] // 16) if said == "auto" and "d_model" in told else said


def _sizes(shapes: Shapes, ssm: str) -> dict[str, Any]:
    """What the shapes of a pure model of that mixer tell; damaged or missing ones tell nothing."""
    found: dict[str, Any] = {}
    match shapes.get(EMBEDDINGS):
        case (rows, width):
            found |= {"vocab_size": rows, "d_model": width}
            if "lm_head.weight" not in shapes:
                found["tie_embeddings"] = True
    layers = {match[1] for name in shapes if (match := re.match(r"backbone\.layers\.(\d+)\.", name))}
    if layers and layers == {str(i) for i in range(len(layers))}:
        found["n_layer"] = len(layers)
    match shapes.get("backbone.layers.0.mlp.fc1.weight"):
        case (rows, _):
            found["d_intermediate"] = rows // 2
    if f"{_MIXER}in_proj.weight" in shapes:
        found["use_bias"] = f"{_MIXER}in_proj.bias" in shapes
        found["conv_bias"] = f"{_MIXER}conv1d.bias" in shapes
    found |= _mamba2_sizes(shapes) if ssm == "mamba2" else _mamba_sizes(shapes)
    width, inner = found.get("d_model", 0), found.get("d_inner", 0)
    if width and inner and inner % width == 0:
        found["expand"] = inner // width
    return found


def _mamba_sizes(shapes: Shapes) -> dict[str, int]:
    match [shapes.get(_MIXER + name) for name in ("A_log", "conv1d.weight", "dt_proj.weight")]:
        case [(inner, states), (_, 1, taps), (_, rank)]:
            return {"d_inner": inner, "d_state": states, "d_conv": taps, "dt_rank": rank}
    return {}


def _mamba2_sizes(shapes: Shapes) -> dict[str, int]:
    """`grouped` is ngroups * d_state, of which shapes tell the product alone."""
    match [shapes.get(_MIXER + name) for name in ("A_log", "conv1d.weight", "norm.weight")]:
        case [(heads,), (channels, 1, taps), (inner,)] if heads and inner % heads == 0 and channels > inner:
            return {
                "d_inner": inner,
                "nheads": heads,
                "headdim": inner // heads,
                "d_conv": taps,
                "grouped": (channels - inner) // 2,
            }
    return {}


def _groups(grouped: int, values: Mapping[str, Any], where: str, names: Mapping[str, str]) -> dict[str, int]:
    """ngroups and d_state from their product and what the file says of one of them."""
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
