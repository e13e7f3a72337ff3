"""The target `onnx-int8`: the decoding step with its large matrices in 8 bits, opened with onnxruntime."""

from collections.abc import Mapping
from pathlib import Path

from bhasa.export.decode_folder import open_folder, write_folder
from bhasa.export.packed_graph import Int8Graph, weight_errors
from bhasa.export.targets import Source, Target


def write(source: Source, folder: Path) -> Mapping[str, float]:
    write_folder(folder, Int8Graph(source.model), source, name="decode.int8.onnx")
    return {f"relative_weight_error.{kind}": error for kind, error in weight_errors(source.model).items()}


TARGET = Target(write, open_folder, generates=True)
