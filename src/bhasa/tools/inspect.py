"""`bhasa inspect`: what a model is made of, layer by layer, or what there is in files or documents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bhasa.errors import UserError

if TYPE_CHECKING:
    from bhasa.model.config import ModelConfig
    from bhasa.model.language_model import LanguageModel

MANY_TOKENS = 1 << 40  # more than any window
MODEL_FILES = (".yaml", ".safetensors")
MOST_CONFIG = 1 << 20  # bytes of a config.json


def command(
    path: Annotated[
        Path,
        typer.Argument(
            help="A model folder, a preset of pipeline/model/ by path or name, documents that ingest wrote, "
            "or files that it would read."
        ),
    ],
    vocab_size: Annotated[int, typer.Option(help="Rows of the embedding that a preset gets.")] = 4096,
) -> None:
    """Show the layers of a model, or what ingest makes, or would make, of files."""
    from bhasa.tools import inspect_data

    if path.is_dir() and inspect_data.holds_documents(path):
        inspect_data.show_documents(path)
    elif (path.is_dir() and not _is_model(path)) or (path.is_file() and path.suffix not in MODEL_FILES):
        inspect_data.show_files(path)
    else:
        _show_model(path, vocab_size)


def _is_model(folder: Path) -> bool:
    """Not every folder with a config.json is one."""
    config = folder / "config.json"
    weights = next(folder.glob("*.safetensors"), None)
    return bool(weights) or (config.is_file() and b'"model_type"' in config.read_bytes()[:MOST_CONFIG])


def _show_model(model: Path, vocab_size: int) -> None:
    """The layers in order, with the parameters and the size of the state of each."""
    from rich.console import Console

    from bhasa.cards import describe_layers
    from bhasa.model.language_model import outline

    config = _config(model, vocab_size)
    language_model = outline(config)
    typer.echo(f"{model}: {language_model.num_parameters():,} parameters, {config.n_layer} layers")
    typer.echo(f"pattern {config.pattern}: {describe_layers(config)}")
    Console().print(_table(language_model))


def _config(model: Path, vocab_size: int) -> ModelConfig:
    from bhasa import bundle
    from bhasa.model.config import ModelConfig

    preset = Path("pipeline", "model", f"{model}.yaml")
    if not model.exists() and preset.is_file():
        model = preset  # given by its name alone, as `model.size` has it
    if model.is_dir():
        return bundle.read_config(model)
    if model.suffix == ".safetensors":
        raise UserError(f"{model}: a file of weights; give the model folder that it lies in")
    return ModelConfig.parse(ModelConfig.load(model).as_mapping() | {"vocab_size": vocab_size}, str(model))


def _table(model: LanguageModel) -> object:
    """A row per kind of layer, each with what one of them counts."""
    from rich.table import Table

    from bhasa.model.mixers import MIXERS

    table = Table("part", "how many", "parameters each", "state of one sequence")
    for column in table.columns[1:]:
        column.justify = "right"
    backbone = model.backbone
    table.add_row("embedding", "1", f"{backbone.embeddings.weight.numel():,}", "")
    for mixer in dict.fromkeys(model.config.layers):
        i = model.config.layers.index(mixer)
        block = backbone.layers[i]
        count = sum(parameter.numel() for parameter in block.parameters())
        table.add_row(
            MIXERS[mixer].title, str(model.config.layers.count(mixer)), f"{count:,}", _state(model, i)
        )
    if not model.config.tie_embeddings:
        table.add_row("output", "1", f"{model.lm_head.weight.numel():,}", "")
    return table


def _state(model: LanguageModel, layer: int) -> str:
    """The bytes of a layer's state, which may depend on the length of the text."""
    from bhasa.model.mixers.protocol import Mixer

    mixer = model.backbone.layers[layer].mixer
    assert isinstance(mixer, Mixer)
    fixed, most = mixer.state_bytes(0), mixer.state_bytes(MANY_TOKENS)
    each = mixer.state_bytes(1) - fixed
    if most == fixed:
        return f"{fixed:,} bytes"
    limit = (most - fixed) // each
    return f"{each:,} bytes a token" + (f", up to {limit:,}" if limit < MANY_TOKENS else "")
