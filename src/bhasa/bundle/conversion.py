"""From one published layout to another: names and `config.json` change, the numbers keep every bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import save_file
from torch import Tensor

from bhasa import journal
from bhasa.bundle import reading
from bhasa.bundle.folder import GENERATION, PROVENANCE, TOKENIZER_FILES, copy_files
from bhasa.bundle.official import to_official
from bhasa.bundle.published import is_published_layout, to_published
from bhasa.bundle.reading import CONFIG, HEAD
from bhasa.bundle.weights import EMBEDDINGS, WEIGHTS, official_names
from bhasa.errors import UserError
from bhasa.model.config import ModelConfig

Tensors = dict[str, Tensor]


class Converted(NamedTuple):
    """What was written."""

    config: ModelConfig
    parameters: int
    dtype: str


def convert(source: Path, target: Path, layout: str) -> Converted:
    """Write the model of `source`, any folder that `load` opens, to the new folder `target`.

    The tensors keep their precision and bits; what is there of a tokenizer and of provenance is copied along.
    """
    if target.exists():
        raise UserError(f"{target}: exists already; name a folder that is new")
    write = LAYOUTS[layout]
    config, tensors = reading.read(source)
    dtype = str(tensors[EMBEDDINGS].dtype).removeprefix("torch.")
    values, named = write(config, tensors, dtype)
    size = sum(tensor.numel() * tensor.element_size() for tensor in named.values())
    journal.require_space(target, size, "the converted model")
    with journal.publish(target) as draft:
        draft.mkdir()
        copy_files(source, draft, (*TOKENIZER_FILES, GENERATION, PROVENANCE))
        save_file({name: t.contiguous() for name, t in named.items()}, draft / WEIGHTS, {"format": "pt"})
        journal.write_json(draft / CONFIG, values)
    return Converted(config, sum(tensor.numel() for tensor in tensors.values()), dtype)


def _huggingface(config: ModelConfig, tensors: Tensors, dtype: str) -> tuple[dict[str, Any], Tensors]:
    if not is_published_layout(config):
        raise UserError(
            "transformers cannot hold this model: it has attention, an MLP or LayerNorm; bhasa alone opens it"
        )
    return to_published(config, dtype), tensors


def _official(config: ModelConfig, tensors: Tensors, dtype: str) -> tuple[dict[str, Any], Tensors]:
    if config.tie_embeddings:  # the official `load_state_dict` wants every name, tied or not
        tensors = tensors | {HEAD: tensors[EMBEDDINGS].clone()}
    return to_official(config), official_names(tensors)


LAYOUTS: dict[str, Callable[[ModelConfig, Tensors, str], tuple[dict[str, Any], Tensors]]] = {
    "huggingface": _huggingface,
    "official": _official,
}
