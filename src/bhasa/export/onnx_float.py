"""The target `onnx`: one decoding step in float32, opened with onnxruntime."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bhasa.export.decode_folder import open_folder, write_folder
from bhasa.export.graph import Graph
from bhasa.export.targets import Target
from bhasa.model.language_model import LanguageModel


def write(model: LanguageModel, source: Path, folder: Path) -> Mapping[str, Any]:
    write_folder(folder, Graph(model), tokenizer=source, name="decode.onnx")
    return {}


TARGET = Target(write, open_folder, exact=True, generates=True)
