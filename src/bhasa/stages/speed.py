"""Stage 7: how fast the fine-tuned model and its exported forms write on this machine.

No stage depends on it, and its report is the one file of the pipeline that differs from run to run.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bhasa.evaluation.config import SpeedConfig
    from bhasa.evaluation.figures import Figures
    from bhasa.hardware import HardwareProfile
    from bhasa.tracking import Tracker


def command(
    params: Annotated[Path, typer.Option(help="File with the section `speed`.")],
    hardware: Annotated[Path, typer.Option(help="Hardware profile: where to compute.")],
    finetuned: Annotated[Path, typer.Option(help="Folder of the model.")],
    export: Annotated[Path, typer.Option(help="Folder of its exported forms.")],
    report: Annotated[Path, typer.Option(help="File to write: the speeds and the machine, as JSON.")],
) -> None:
    """Measure the time to the first token and tokens per second, of the model and of what was exported."""
    from bhasa.evaluation.config import SpeedConfig
    from bhasa.hardware import HardwareProfile
    from bhasa.stages import tracked

    config = SpeedConfig.load(params, "speed")
    profile = HardwareProfile.load(hardware)
    with tracked("speed", params) as tracker:
        run(config, profile=profile, finetuned=finetuned, export=export, report=report, tracker=tracker)


def run(
    config: SpeedConfig,
    *,
    profile: HardwareProfile,
    finetuned: Path,
    export: Path,
    report: Path,
    tracker: Tracker,
) -> dict[str, float]:
    """Write `report`; returns its figures."""
    from bhasa import bundle
    from bhasa.evaluation.report import Report
    from bhasa.evaluation.speed import decoding
    from bhasa.hardware import machine

    device = profile.prepare()
    model = bundle.load(finetuned, device, backend=profile.backend)
    result = Report(
        models={"finetuned": bundle.weights_sha256(finetuned)},
        context={"device": str(device), "machine": machine()},
    )
    result.add("finetuned", "decoding", decoding(model, config))
    for target, figures in _exported(export, model.config.vocab_size, config):
        result.add(target, "stepping", figures)
    for name, value in result.metrics.items():
        if name.endswith("tokens_per_second"):
            print(f"speed: {name.split('.')[0]} writes {value:,.0f} tokens per second", file=sys.stderr)
    result.save(report)
    tracker.log_metrics(result.metrics)
    tracker.log_file(report)
    return result.metrics


def _exported(export: Path, vocab_size: int, config: SpeedConfig) -> Iterator[tuple[str, Figures]]:
    """The speed of each exported form that writes token by token."""
    from bhasa.evaluation.speed import stepping
    from bhasa.export.targets import TARGETS, load_target

    for name in TARGETS:
        if (export / name).is_dir() and (target := load_target(name)).generates:
            yield name, stepping(target.read(export / name).logits, vocab_size, config)
