"""How files of transformers and of state-spaces/mamba describe a mixer that they have: a module for each.

`model.mixers.MIXERS` names the modules as `published`; a model whose layers are all of one such mixer, with
RMSNorm and no MLP, has transformers' layout.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bhasa.bundle.weights import Shapes
from bhasa.model.config import ModelConfig
from bhasa.model.mixers import MIXERS

Values = dict[str, Any]
"""Of `ModelConfig`, by its keys; `d_inner` and `nheads` may be among them."""

Names = Mapping[str, str]
"""A file's own names of keys, by ours."""


@dataclass(frozen=True)
class PublishedMixer:
    """A mixer in the files of others; the name in `MIXERS` is the `model_type` of transformers."""

    architecture: str
    """Its class in transformers."""
    names: Names
    """Keys of transformers' `config.json` whose values pass unchanged, beside those that all mixers have."""
    adaptable: tuple[str, ...]
    """Projections that peft adapts there: that it accepts, and whose adapter that class does not bypass."""
    keys: Callable[[ModelConfig], dict[str, Any]]
    """The other keys of that file."""
    read: Callable[[Values, Mapping[str, Any], str], Values]
    """What is read of a file, that file and its name to all that it means, by the defaults of their class."""
    defaults: Values
    """Those of their class that hold only where neither the file nor the weights say something else."""
    official_layer: str
    """`ssm_cfg.layer` of state-spaces/mamba."""
    official_names: Names
    """Keys of its `ssm_cfg`."""
    official_defaults: Values
    """Its defaults that are not ours."""
    sizes: Callable[[Shapes, Values, str, Names], Values]
    """What the shapes of a layer's tensors, by their names in the mixer, say beside what a file does."""


def published_mixers() -> dict[str, PublishedMixer]:
    """All of them, by their names in `MIXERS`."""
    return {
        name: importlib.import_module(kind.published, __name__).PUBLISHED
        for name, kind in MIXERS.items()
        if kind.published
    }
