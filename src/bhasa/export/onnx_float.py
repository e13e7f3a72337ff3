"""The target `onnx`: one decoding step in float32, opened with onnxruntime."""

from collections.abc import Mapping
from pathlib import Path

from bhasa.export.decode_folder import open_folder, write_folder
from bhasa.export.graph import Graph
from bhasa.export.targets import Source, Target


def write(source: Source, folder: Path) -> Mapping[str, float]:
    write_folder(folder, Graph(source.model), source, name="decode.onnx")
    return {}


TARGET = Target(write, open_folder, generates=True)
