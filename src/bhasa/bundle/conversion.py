"""From one published layout to another: names and `config.json` change, the numbers keep every bit."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import save_file
from torch import Tensor

from bhasa import journal
from bhasa.bundle import reading
from bhasa.bundle.folder import CARD, GENERATION, PROVENANCE, TOKENIZER_FILES, copy_files
from bhasa.bundle.official import not_official, to_official
from bhasa.bundle.published import is_published_layout, to_published
from bhasa.bundle.reading import CONFIG, HEAD
from bhasa.bundle.weights import EMBEDDINGS, WEIGHTS, official_names
from bhasa.cards import Layout, model_card
from bhasa.errors import UserError
from bhasa.model.config import ModelConfig

Tensors = dict[str, Tensor]
Values = dict[str, Any]
"""Of a `config.json`."""

SOURCE_CARD = "README.source.md"
CHUNK = "chunk_size"  # how Mamba-2 is computed, not what


class Converted(NamedTuple):
    """What was written."""

    config: ModelConfig
    parameters: int
    dtype: str


def convert(source: Path, target: Path, layout: str) -> Converted:
    """Write the model of `source`, any folder that `load` opens, to the new folder `target`.

    The tensors keep their precision and bits; what is there of a tokenizer and of provenance is copied along,
    and the source's own page as `SOURCE_CARD`.
    """
    if target.exists():
        raise UserError(f"{target}: exists already; name a folder that is new")
    write = LAYOUTS[layout]
    config, tensors = reading.read(source)
    dtype = str(tensors[EMBEDDINGS].dtype).removeprefix("torch.")
    values, named = write(config, tensors, dtype, journal.read_json(source / CONFIG))
    size = sum(tensor.numel() * tensor.element_size() for tensor in named.values())
    journal.require_space(target, size, "the converted model")
    with journal.publish(target) as draft:
        draft.mkdir()
        copy_files(source, draft, (*TOKENIZER_FILES, GENERATION, PROVENANCE))
        save_file({name: t.contiguous() for name, t in named.items()}, draft / WEIGHTS, {"format": "pt"})
        journal.write_json(draft / CONFIG, values)
        if (source / CARD).is_file():
            shutil.copyfile(source / CARD, draft / SOURCE_CARD)
        parameters = sum(tensor.numel() for tensor in tensors.values())
        _write_card(draft, config, parameters, "mamba-ssm" if layout == "official" else "transformers")
    return Converted(config, parameters, dtype)


def _write_card(folder: Path, config: ModelConfig, parameters: int, layout: Layout) -> None:
    known = folder / PROVENANCE
    provenance = journal.read_json(known) if known.is_file() else {}
    page = model_card(config, parameters=parameters, layout=layout, provenance=provenance, file=PROVENANCE)
    journal.write_text(folder / CARD, page)


def _huggingface(config: ModelConfig, tensors: Tensors, dtype: str, source: Values) -> tuple[Values, Tensors]:
    if not is_published_layout(config):
        reason = not_official(config)
        raise UserError(
            "transformers cannot hold this model: it has attention, an MLP or LayerNorm; "
            + (
                f"the official layout neither, since it {reason}: bhasa alone opens it"
                if reason
                else "use --to official"
            )
        )
    values = to_published(config, dtype)
    return values | {key: value for key, value in _kept(source).items() if key in values}, tensors


def _official(config: ModelConfig, tensors: Tensors, dtype: str, source: Values) -> tuple[Values, Tensors]:
    if config.tie_embeddings:  # the official `load_state_dict` wants every name, tied or not
        tensors = tensors | {HEAD: tensors[EMBEDDINGS].clone()}
    values = to_official(config)
    values["ssm_cfg"] |= {key: value for key, value in _kept(source).items() if key == CHUNK}
    return values, official_names(tensors)


def _kept(source: Values) -> Values:
    """What a `config.json` says beside the architecture and another layout has a place for."""
    said = (source.get("ssm_cfg") or {}) | source
    return {key: said[key] for key in (CHUNK, "bos_token_id", "eos_token_id", "pad_token_id") if key in said}


LAYOUTS: dict[str, Callable[[ModelConfig, Tensors, str, Values], tuple[Values, Tensors]]] = {
    "huggingface": _huggingface,
    "official": _official,
}
