"""The decoding step of each kind of layer as nodes of a graph: the modules that `MIXERS` names as `onnx`.

`protocol.py` says what such a module offers.
"""

import importlib

from bhasa.errors import UserError
from bhasa.export.graph.nodes import Graph, Value
from bhasa.export.graph.protocol import LayerBuilder, StateTensor
from bhasa.model.mixers import MIXERS

__all__ = ["Graph", "LayerBuilder", "StateTensor", "Value", "builder"]


def builder(mixer: str) -> LayerBuilder:
    """The builder of a mixer, by its name in `ModelConfig.layers`."""
    kind = MIXERS[mixer]
    if kind.onnx is None:
        raise UserError(f"{kind.title} has no ONNX step, so a model with it cannot be exported to ONNX")
    module: LayerBuilder = importlib.import_module(kind.onnx, __name__)
    return module
