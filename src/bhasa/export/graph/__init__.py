"""The decoding step of each kind of layer as nodes of a graph, under the names of `model.mixers.MIXERS`.

`protocol.py` says what a layer's module offers; a new one is a file, and a line here.
"""

from bhasa.export.graph import attention, mamba, mamba2, mlp
from bhasa.export.graph.nodes import Graph, Value
from bhasa.export.graph.protocol import LayerBuilder, StateTensor

BUILDERS: dict[str, LayerBuilder] = {
    "mamba": mamba,
    "mamba2": mamba2,
    "attention": attention,
    "mlp": mlp,
}
"""By the names that `ModelConfig.layers` gives."""

__all__ = ["BUILDERS", "Graph", "LayerBuilder", "StateTensor", "Value"]
