"""`bhasa bench`: how fast the program is on this machine, as a share of what the machine could do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    model: Annotated[Path, typer.Option(help="Preset of the architecture.")] = Path(
        "pipeline/model/tiny.yaml"
    ),
    vocab_size: Annotated[int, typer.Option(help="Rows of its embedding.")] = 4096,
    json: Annotated[Path | None, typer.Option(help="File to write the figures to.")] = None,
    quick: Annotated[bool, typer.Option(help="Tiny inputs: only to see that everything runs.")] = False,
) -> None:
    """Measure the operations, a training step, reading and writing on this CPU: under two minutes."""
    from bhasa import journal
    from bhasa.measure import table
    from bhasa.measure.program import QUICK, Sizes, measure
    from bhasa.model.config import ModelConfig

    values = ModelConfig.load(model).as_mapping() | {"vocab_size": vocab_size}
    figures = measure(ModelConfig.parse(values, "--vocab-size"), QUICK if quick else Sizes())
    table.show(f"bhasa alone, model {model.stem}", figures)
    if json is not None:
        journal.write_json(json, figures)
