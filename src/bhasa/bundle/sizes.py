"""An architecture read off the shapes of its tensors, and corrected where a published file has it wrong.

Official Mamba-2 files lack what a reader of the Hugging Face layout looks for, so it takes defaults of
another model (state-spaces/mamba#752, huggingface/transformers#34167); others contradict themselves. The
shapes of the tensors decide, and one line says what was wrong.
"""

import re
import sys
from collections.abc import Mapping
from typing import Any

from bhasa.bundle.mixers import Names, Values, published_mixers
from bhasa.bundle.weights import EMBEDDINGS, Shapes
from bhasa.model.config import ModelConfig

_MIXER = "backbone.layers.0.mixer."


def agree(values: Values, shapes: Shapes, where: str, names: Names) -> Values:
    """`values` of a file with those that its tensors contradict replaced.

    Where shapes do not decide, the file's value stays. `names` are the file's own names of the keys, for the
    line that says what was replaced.
    """
    from_shapes = _sizes(shapes, values, where, names)
    if "d_inner" in values:
        from_shapes.pop("expand", None)  # Falcon-Mamba's file says expand 16 and means 2: the width counts
    wrong = {k: size for k, size in from_shapes.items() if _from_file(k, values, from_shapes) != size}
    if wrong:
        listing = ", ".join(
            f"{names.get(key, key)} is {size}, the file has {values.get(key, 'none')}"
            for key, size in wrong.items()
        )
        print(f"note: {where} contradicts its weights, which are used: {listing}", file=sys.stderr)
    return {**values, **wrong}


def _from_file(key: str, values: Values, from_shapes: Mapping[str, Any]) -> Any:
    """What the file has for a key, or means by having nothing."""
    if key in ("d_inner", "nheads") and key not in values:
        return from_shapes[key]  # follows from others
    default = ModelConfig.model_fields[key].get_default() if key in ModelConfig.model_fields else None
    value = values.get(key, default)
    return -(-from_shapes["d_model"] // 16) if value == "auto" and "d_model" in from_shapes else value


def _sizes(shapes: Shapes, values: Values, where: str, names: Names) -> Values:
    """What the shapes of a pure model say; damaged or missing ones say nothing."""
    found: Values = {}
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
    mixer = {name.removeprefix(_MIXER): shape for name, shape in shapes.items() if name.startswith(_MIXER)}
    if "in_proj.weight" in mixer:
        found["use_bias"] = "in_proj.bias" in mixer
        found["conv_bias"] = "conv1d.bias" in mixer
    found |= published_mixers()[values["ssm"]].sizes(mixer, values, where, names)
    width, inner = found.get("d_model", 0), found.get("d_inner", 0)
    if width and inner and inner % width == 0:
        found["expand"] = inner // width
    return found
