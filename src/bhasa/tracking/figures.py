"""The few figures by which pipeline runs are compared, read from the reports.

They stand on the parent run under short names. The reports are the truth: of a stage that DVC took from its
cache, and that told nothing itself, they are the only trace.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bhasa.stages import STAGES

FIGURES = {  # the name in the list: the stage and the dotted key in its report
    "bits_per_byte": ("evaluate", "finetuned.bits_per_byte"),
    "perplexity": ("evaluate", "finetuned.perplexity"),
    "base_bits_per_byte": ("evaluate", "base.bits_per_byte"),
    "base_perplexity": ("evaluate", "base.perplexity"),
    "loss": ("pretrain", "validation_loss"),
    "answer_loss": ("finetune", "validation_loss"),
    "tokens_per_second": ("speed", "finetuned.tokens_per_second"),
    "parameters": ("pretrain", "parameters"),
}

IN_THE_LIST = ("perplexity", "bits_per_byte", "loss", "tokens_per_second")
VIEW = "figures"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
"""The tag of an experiment in which MLflow's page looks for the view that its address names."""


def view() -> str:
    """MLflow's list of runs with the columns that it hides otherwise, as its page reads a view."""
    columns = [f"metrics.`{name}`" for name in IN_THE_LIST]
    return json.dumps({"selectedColumns": ["attributes.`Created`", "attributes.`Models`", *columns]})


def read(reports: Path, stages: Iterable[str]) -> dict[str, float]:
    """What the reports of `stages` say of the `FIGURES`; what is not there is left out."""
    values = {stage: _report(reports / f"{stage}.json") for stage in stages}
    found = {name: _at(values.get(stage, {}), key) for name, (stage, key) in FIGURES.items()}
    return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}


def before(stage: str) -> tuple[str, ...]:
    """The stages whose reports are those of this pipeline run when `stage` begins."""
    return STAGES[: STAGES.index(stage)] if stage in STAGES else ()


def note(opening: Mapping[str, Any], values: Mapping[str, float]) -> str:
    """A pipeline run in two sentences, as Markdown."""
    shown = ", ".join(f"{name.replace('_', ' ')} **{value:,.6g}**" for name, value in values.items())
    params = opening["params"]
    chosen = ", ".join(
        f"{section} {value}"
        for section, key in (("model", "size"), ("training", "preset"), ("hardware", "profile"))
        if (value := _at(params, f"{section}.{key}")) is not None
    )
    of = f"{opening['name']}, commit {opening['commit'][:7]}: {chosen}, seed {params.get('seed')}."
    return f"{of}\n\n{shown}" if shown else of


def _report(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _at(values: Any, key: str) -> Any:
    for part in key.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values
