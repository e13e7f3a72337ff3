"""Stage 3: a new model learns to continue the training documents."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bhasa.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bhasa.hardware import HardwareProfile
    from bhasa.model.config import ModelConfig
    from bhasa.model.language_model import LanguageModel
    from bhasa.tracking import Tracker
    from bhasa.training.config import PretrainConfig, PretrainPreset


def command(
    params: Annotated[Path, typer.Option(help="File with `seed` and the section `pretrain`.")],
    model: Annotated[Path, typer.Option(help="Preset of the architecture.")],
    hardware: Annotated[Path, typer.Option(help="Preset of how to run.")],
    training: Annotated[Path, typer.Option(help="Preset of what to learn.")],
    tokenizer: Annotated[Path, typer.Option(help="Tokenizer folder.")],
    tokens: Annotated[Path, typer.Option(help="Folder of the documents' tokens.")],
    base: Annotated[Path, typer.Option(help="Model folder to write.")],
    report: Annotated[Path, typer.Option(help="File to write: figures of the run.")],
    curves: Annotated[Path, typer.Option(help="Folder to write: loss, rate and gradient norm by step.")],
) -> None:
    """Train the base model; stopped and started again, it goes on where it was."""
    from bhasa.experiment import Experiment, architecture_of, check_together
    from bhasa.hardware import HardwareProfile
    from bhasa.stages import tracked
    from bhasa.training.config import PretrainPreset

    experiment = Experiment.load(params)
    architecture, profile = architecture_of(experiment, model), HardwareProfile.load(hardware)
    check_together(experiment, architecture, profile)  # the last moment before the longest stage
    with tracked("pretrain", params) as tracker:
        run(
            experiment.pretrain,
            seed=experiment.seed,
            mix=experiment.ingest.mix,
            architecture=architecture,
            hardware=profile,
            preset=PretrainPreset.load(training),
            tokenizer=tokenizer,
            tokens=tokens,
            base=base,
            report=report,
            curves=curves,
            tracker=tracker,
        )


def run(
    config: PretrainConfig,
    *,
    seed: int,
    mix: Mapping[str, float] | None = None,
    architecture: ModelConfig,
    hardware: HardwareProfile,
    preset: PretrainPreset,
    tokenizer: Path,
    tokens: Path,
    base: Path,
    report: Path,
    curves: Path,
    tracker: Tracker,
) -> dict[str, float]:
    """Write the model folder `base`, `report` and `curves`; returns the report's figures.

    With `init_from` the model is that folder's, and `architecture` is of no use. `mix` weighs the domains of
    the training documents; those to validate on stay in their natural proportions, packed, so that losses can
    be compared.
    """
    from bhasa import bundle, journal
    from bhasa.randomness import derive
    from bhasa.stages import run_folders
    from bhasa.tokens.loader import WindowLoader
    from bhasa.tokens.shard_reader import open_split
    from bhasa.tokens.shards import identity
    from bhasa.tokens.training_rows import training_rows
    from bhasa.training.curves import write_curves
    from bhasa.training.fit import fit, summary
    from bhasa.training.plan import Plan

    hardware.prepare()
    training = config.applied_to(preset)
    train, validation = (open_split(tokens, split, tokenizer=tokenizer) for split in ("train", "validation"))
    rows = training_rows(
        train, training.context_length, kind=training.rows, mix=mix, seed=derive(seed, "order")
    )
    data = identity(tokens)
    if config.init_from is None:
        model = _new(architecture, train.vocab_size, seed, hardware.backend)
        origin = {}
    else:
        model = _taken_over(Path(config.init_from), tokenizer, hardware.backend)
        origin = {"init_from_sha256": bundle.weights_sha256(Path(config.init_from))}
    for split in (train, validation):
        split.require_rows(model.config.vocab_size)
    journal.require_space(base, 4 * model.num_parameters(), "the model")
    provenance = {
        "seed": seed,
        "tokens_sha256": data,
        "mix": mix,
        **origin,
        "pretrain": training.as_mapping() | {"steps": config.steps(training)},
        "hardware": hardware.as_mapping(),
        "kernels": hardware.kernels(model),
    }
    tracker.log_params({"architecture": model.config.as_mapping(), **provenance})
    tracker.log_input("tokens/documents", tokens, "training")

    plan = Plan(
        "pretrain",
        training,
        steps=config.steps(training),
        seed=derive(seed, "pretrain"),
        train=rows,
        validation=WindowLoader(validation, training.context_length, seed=None),
        inputs={"tokens": data, "mix": json.dumps(mix, sort_keys=True), **origin},
    )
    with fit(model, plan, hardware, folder=run_folders("pretrain"), follow=tracker.follow) as events:
        bundle.save(base, model, tokenizer=tokenizer, provenance=provenance)
        metrics = {"parameters": model.num_parameters(), **summary(events)}
        journal.write_json(report, {"model_sha256": bundle.weights_sha256(base)} | metrics)
        write_curves(events, curves)
    tracker.log_metrics(metrics)
    tracker.log_file(report)
    tracker.log_folder(curves)
    return metrics


def _new(architecture: ModelConfig, vocab_size: int, seed: int, backend: str) -> LanguageModel:
    from bhasa.model.language_model import build
    from bhasa.randomness import derive

    architecture = architecture.model_copy(update={"vocab_size": vocab_size})
    return build(architecture, seed=derive(seed, "initial weights"), backend=backend)


def _taken_over(folder: Path, tokenizer: Path, backend: str) -> LanguageModel:
    """The model of `folder`, with its tokens numbered as in `tokenizer`, which must be made from its own."""
    from bhasa import bundle
    from bhasa.model.vocabulary import renumber
    from bhasa.tokens.foreign_tokenizer import open_foreign

    renumbered = open_foreign(folder)
    if renumbered.tokenizer.to_str() != bundle.load_tokenizer(tokenizer).to_str():
        raise UserError(
            f"{tokenizer}: not the tokenizer of pretrain.init_from ({folder}); run `dvc repro -f tokenize`, "
            "since DVC does not watch that folder"
        )
    model = bundle.load(folder, backend=backend)
    if len(renumbered.rows) > model.config.vocab_size + renumbered.rows.count(None):
        raise UserError(
            f"{folder}: the tokenizer has {len(renumbered.rows) - renumbered.rows.count(None):,} tokens, the "
            f"weights rows for {model.config.vocab_size:,}; put the tokenizer of that model there"
        )
    renumber(model, renumbered.rows)
    config, mixers = model.config, ", ".join(sorted(set(model.config.layers)))
    print(
        f"pretrain: starts from {folder} ({config.n_layer} layers of {mixers}, width {config.d_model}, "
        f"{config.vocab_size:,} rows); model.size is not used",
        file=sys.stderr,
    )
    return model
