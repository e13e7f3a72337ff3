"""The target `onnx-int8`: the decoding step with its large matrices in 8 bits, opened with onnxruntime."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bhasa.export.decode_folder import open_folder, write_folder
from bhasa.export.quantisation import Int8Graph, weight_errors
from bhasa.export.targets import Target
from bhasa.model.language_model import LanguageModel


def write(model: LanguageModel, source: Path, folder: Path) -> Mapping[str, Any]:
    write_folder(folder, Int8Graph(model), tokenizer=source, name="decode.int8.onnx")
    return {"relative_weight_error": weight_errors(model)}


TARGET = Target(write, open_folder, exact=False, generates=True)
