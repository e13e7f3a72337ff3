"""The forms in which a model leaves bhasa.

A target is one module that writes its own folder and opens it again the way its users will. A new one is a
file with a `TARGET` and a line in `TARGETS`. The registry holds module names, because params.yaml is
checked against it long before the runtimes, which take seconds to import, are needed.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bhasa.errors import UserError
from bhasa.model.mixers import MIXERS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bhasa.model.config import ModelConfig
    from bhasa.model.language_model import LanguageModel

TARGETS = {
    "huggingface": "bhasa.export.huggingface",
    "onnx": "bhasa.export.onnx_float",
    "onnx-int8": "bhasa.export.onnx_int8",
}
ONNX = ("onnx", "onnx-int8")
"""Those that write a model's step as a graph."""


@dataclass(frozen=True)
class Runtime:
    """An exported folder, opened by the program it is meant for."""

    name: str
    """The program and its version, for the report."""
    encode: "Callable[[str], list[int]]"
    """Text to ids by the folder's own tokenizer, without special tokens before or after it."""
    logits: "Callable[[list[int]], NDArray[np.float32]]"
    """Ids (l,) to the logits (l, vocab_size) of what follows each of them."""


@dataclass(frozen=True)
class Target:
    """How to write a form of the model, how to open it, and what it promises."""

    write: "Callable[[LanguageModel, Path, Path], Mapping[str, Any]]"
    """Of a model and the folder it came from, make the folder given last; returns figures for the report."""
    read: Callable[[Path], Runtime]
    exact: bool
    """Whether only rounding may tell it from the source, or approximation is its purpose."""
    generates: bool
    """Whether its folder is one that `pyfunc_model.py` opens."""


def require_exportable(targets: Sequence[str], config: "ModelConfig") -> None:
    """Refuse targets that a model's mixers do not have; imports no runtime."""
    lacking = [MIXERS[name].title for name in dict.fromkeys(config.layers) if MIXERS[name].onnx is None]
    refused = [name for name in targets if name in ONNX] if lacking else []
    if refused:
        raise UserError(
            f"export.targets: found {', '.join(refused)}; {', '.join(lacking)} has no ONNX step; allowed for "
            f"this model: {', '.join(name for name in TARGETS if name not in ONNX)}"
        )


def load_target(name: str) -> Target:
    """The target of a name in `TARGETS`; imports its runtime."""
    target: Target = importlib.import_module(TARGETS[name]).TARGET
    return target
