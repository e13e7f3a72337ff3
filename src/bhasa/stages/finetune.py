"""Stage 4: the base learns to answer, through low-rank adapters that are then merged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bhasa.finetuning.config import FinetuneConfig
    from bhasa.hardware import HardwareProfile
    from bhasa.model.language_model import LanguageModel
    from bhasa.tracking import Tracker


def command(
    params: Annotated[Path, typer.Option(help="File with `seed` and the section `finetune`.")],
    hardware: Annotated[Path, typer.Option(help="Preset of how to run.")],
    base: Annotated[Path, typer.Option(help="Model folder to start from.")],
    tokens: Annotated[Path, typer.Option(help="Folder of the conversations' tokens.")],
    adapter: Annotated[Path, typer.Option(help="Adapter folder to write.")],
    finetuned: Annotated[Path, typer.Option(help="Model folder to write: base and adapter merged.")],
    report: Annotated[Path, typer.Option(help="File to write: figures of the run.")],
    curves: Annotated[Path, typer.Option(help="Folder to write: loss, rate and gradient norm by step.")],
) -> None:
    """Tune the base on conversations with LoRA; stopped and started again, it goes on where it was."""
    from bhasa.finetuning.config import FinetuneConfig
    from bhasa.hardware import HardwareProfile
    from bhasa.stages import read_seed, tracked

    with tracked("finetune", params) as tracker:
        run(
            FinetuneConfig.load(params, "finetune"),
            seed=read_seed(params),
            hardware=HardwareProfile.load(hardware),
            base=base,
            tokens=tokens,
            adapter=adapter,
            finetuned=finetuned,
            report=report,
            curves=curves,
            tracker=tracker,
        )


def run(
    config: FinetuneConfig,
    *,
    seed: int,
    hardware: HardwareProfile,
    base: Path,
    tokens: Path,
    adapter: Path,
    finetuned: Path,
    report: Path,
    curves: Path,
    tracker: Tracker,
) -> dict[str, float]:
    """Write the folders `adapter` and `finetuned`, `report` and `curves`; returns the report's figures."""
    from bhasa import bundle, journal
    from bhasa.finetuning import adapters
    from bhasa.randomness import derive
    from bhasa.stages import run_folders
    from bhasa.tokens.packing import ChatLoader
    from bhasa.tokens.shard_reader import open_split
    from bhasa.tokens.shards import identity
    from bhasa.training.curves import write_curves
    from bhasa.training.fit import fit, summary
    from bhasa.training.plan import Plan
    from bhasa.training.step import mean_loss

    device = hardware.prepare()
    bundle.load_tokenizer(base)  # refuses one that the weights do not know
    train = ChatLoader(
        open_split(tokens, "train", tokenizer=base), config.context_length, seed=derive(seed, "chat order")
    )
    validation = ChatLoader(
        open_split(tokens, "validation", tokenizer=base), config.context_length, seed=None
    )
    data = identity(tokens)
    steps = config.steps(train.rows_per_epoch)
    model = bundle.load(base, device, backend=hardware.backend)
    for batches in (train, validation):
        batches.split.require_rows(model.config.vocab_size)
    weights = journal.sha256_file(base / bundle.WEIGHTS)
    journal.require_space(finetuned, 4 * 2 * model.num_parameters(), "the tuned model and its adapter")
    provenance = {
        "seed": seed,
        "base_sha256": weights,
        "tokens_sha256": data,
        "finetune": config.as_mapping() | {"steps": steps},
        "hardware": hardware.as_mapping(),
        "kernels": hardware.kernels(model),
    }
    tracker.log_params(provenance)
    tracker.log_input("tokens/chat", tokens, "finetuning")

    # In half precision, merging rounds otherwise than what it stands for, by more than any tolerance of use.
    exact = hardware.model_copy(update={"precision": "fp32"})

    def checked_loss(model: LanguageModel) -> float:
        return mean_loss(model, validation, adapters.CHECKED_ROWS, exact)

    base_loss = checked_loss(model)
    adapted = adapters.attach(model, config.adapter, seed=derive(seed, "adapters"))
    adapters.require_equal(checked_loss(model), base_loss)
    plan = Plan(
        "finetune",
        config,
        steps=steps,
        seed=derive(seed, "finetune"),
        train=train,
        validation=validation,
        inputs={"tokens": data, "base": weights},
    )
    with fit(model, plan, hardware, folder=run_folders("finetune"), follow=tracker.follow) as events:
        trained = adapted.get_nb_trainable_parameters()[0]
        tuned_loss = checked_loss(model)
        with journal.publish(adapter) as draft:
            adapters.write(adapted, draft, base=base)  # before merging, which takes the adapters out
            merged = adapters.merge(adapted)
            adapters.require_equal(checked_loss(merged), tuned_loss)
        bundle.save(finetuned, merged, tokenizer=base, provenance=provenance)
        metrics = {"trained_parameters": trained, **summary(events)}
        journal.write_json(report, {"model_sha256": bundle.weights_sha256(finetuned)} | metrics)
        write_curves(events, curves)
    tracker.log_metrics(metrics)
    tracker.log_file(report)
    tracker.log_folder(curves)
    return metrics
