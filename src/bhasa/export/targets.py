"""The forms in which a model leaves bhasa.

A target is one module that writes its own folder and opens it again the way its users will. A new one is a
file with a `TARGET` and a line in `TARGETS`. The registry holds module names, because params.yaml is
checked against it long before the runtimes, which take seconds to import, are needed.
"""

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bhasa.errors import UserError
from bhasa.model.mixers import MIXERS
from bhasa.params import Config

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bhasa.model.config import ModelConfig
    from bhasa.model.language_model import LanguageModel

Limit = Annotated[float, Field(gt=0)] | None


class Gates(Config):
    """The most that figures of a target's comparison may be; null is the target's own limit."""

    logit_difference: Limit = None
    """The largest difference of a logit, as a share of the source's largest."""
    mean_kl: Limit = None
    """KL divergence of the predictions from the source's, nats per token."""
    perplexity_increase: Limit = None
    """Percent."""

    def over(self, own: "Gates") -> dict[str, float]:
        """The limits that hold: these, and `own` where these are null."""
        return own.model_dump(exclude_none=True) | self.model_dump(exclude_none=True)


ROUNDING = Gates(logit_difference=1e-4)
"""Float32 makes 7e-7 of the default model and 2e-5 of wide ones."""
APPROXIMATION = Gates(mean_kl=5e-4, perplexity_increase=0.3)
"""About twice what 8 bits a weight make of the default model: 1.4e-4 nats and 0.17 %."""


@dataclass(frozen=True)
class Listed:
    """What is known of a target before its runtime is imported."""

    module: str
    purpose: str
    """What it is better for than the others, in a few words."""
    gates: Gates
    graph: bool
    """Whether it writes a model's step as a graph, for which each mixer must say how."""


TARGETS = {
    "huggingface": Listed("bhasa.export.huggingface", "transformers, and training on", ROUNDING, graph=False),
    "onnx": Listed("bhasa.export.onnx_float", "decoding without torch", ROUNDING, graph=True),
    "onnx-int8": Listed(
        "bhasa.export.onnx_int8", "the same as a smaller download", APPROXIMATION, graph=True
    ),
}


@dataclass(frozen=True)
class Source:
    """The model that is exported."""

    model: "LanguageModel"
    folder: Path
    license: str | None = None
    """Of the weights."""


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
    """How to write a form of the model, and how to open it."""

    write: Callable[[Source, Path], Mapping[str, float]]
    """Make the folder; returns figures for the report."""
    read: Callable[[Path], Runtime]
    generates: bool
    """Whether its folder is one that `pyfunc_model.py` opens."""


def require_exportable(targets: Iterable[str], config: "ModelConfig") -> None:
    """Refuse targets that a model's mixers do not have; imports no runtime."""
    lacking = [MIXERS[name].title for name in dict.fromkeys(config.layers) if MIXERS[name].onnx is None]
    refused = [name for name in targets if TARGETS[name].graph] if lacking else []
    if refused:
        raise UserError(
            f"export.targets: found {', '.join(refused)}; {', '.join(lacking)} has no ONNX step; allowed for "
            f"this model: {', '.join(name for name in TARGETS if not TARGETS[name].graph)}"
        )


def load_target(name: str) -> Target:
    """The target of a name in `TARGETS`; imports its runtime."""
    target: Target = importlib.import_module(TARGETS[name].module).TARGET
    return target
