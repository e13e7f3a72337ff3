"""From a folder of any layout that is read to an architecture and the tensors that it asks for."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bhasa.bundle import official, published, weights
from bhasa.bundle.weights import EMBEDDINGS, Shapes
from bhasa.errors import FileError, UserError
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import outline

CONFIG = "config.json"
HEAD = "lm_head.weight"
OTHER_FOLDERS = {
    "adapter_config.json": "an adapter, not a model; give the folder of its base or of the merged model",
    "decode.json": "an ONNX export, not a model; give the model folder that it was made from",
}
"""What else bhasa writes as a folder, by a file that no model folder has."""


def read_config(folder: Path) -> ModelConfig:
    """The architecture of a folder: what `config.json` says, where the weights do not contradict it."""
    path = folder / CONFIG
    if not folder.is_dir():
        raise FileError(folder, "no such folder")
    for name, kind in OTHER_FOLDERS.items():
        if (folder / name).is_file():
            raise UserError(f"{folder}: {kind}")
    if not path.is_file():
        raise UserError(f"{path}: no such file, so {folder} is no model folder")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FileError(path, f"not valid JSON ({error})") from None
    if not isinstance(values, dict):
        raise FileError(path, "expected a JSON object")
    return config_of(values, str(path), weights.shapes(folder))


def config_of(values: Mapping[str, Any], where: str, shapes: Shapes) -> ModelConfig:
    """The architecture that a file of either layout describes."""
    reader = official.from_official if official.is_official(values) else published.from_published
    return reader(values, where, shapes)


def read(folder: Path) -> tuple[ModelConfig, dict[str, Tensor]]:
    """The architecture, and each of its tensors in the precision in which the folder has it.

    A tied output projection is not among them.
    """
    config = read_config(folder)
    tensors = weights.read(folder)
    if config.tie_embeddings and HEAD in tensors and EMBEDDINGS in tensors:
        head = tensors.pop(HEAD)
        if not torch.equal(head, tensors[EMBEDDINGS]):
            print(
                f"note: {folder / CONFIG} says that the output projection is the embedding, the weights hold "
                "another, which is used",
                file=sys.stderr,
            )
            config = config.model_copy(update={"tie_embeddings": False})
            tensors[HEAD] = head
    _check_shapes(tensors, config, folder)
    return config, tensors


def _check_shapes(tensors: Mapping[str, Tensor], config: ModelConfig, folder: Path) -> None:
    last = f"backbone.layers.{config.n_layer - 1}."
    if not any(name.startswith(last) for name in tensors):  # before a wrong number of layers is built
        raise FileError(
            folder / weights.WEIGHTS,
            f"tensor {last}*: {CONFIG} asks for {config.n_layer:,} layers, the file has none of that name",
        )
    expected = {name: tuple(t.shape) for name, t in outline(config).state_dict().items()}
    if config.tie_embeddings:
        del expected[HEAD]
    found = {name: tuple(t.shape) for name, t in tensors.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise FileError(
                folder / weights.WEIGHTS,
                f"tensor {name}: {CONFIG} asks for {expected.get(name, 'none')}, "
                f"the file has {found.get(name, 'none')}",
            )
