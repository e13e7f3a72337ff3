"""Stage 6: the tuned model in the forms in which others use it, each opened again and compared."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bhasa.evaluation.report import Report
    from bhasa.export.comparison import Comparison, Prompt
    from bhasa.export.config import ExportConfig
    from bhasa.export.targets import Gates, Source
    from bhasa.tracking import Tracker

REGISTERED_NAME = "bhasa"
PACKAGES = ("mlflow", "numpy", "onnxruntime", "pandas", "tokenizers")  # what `pyfunc_model.py` needs


def command(
    params: Annotated[Path, typer.Option(help="File with the section `export`.")],
    documents: Annotated[Path, typer.Option(help="Folder of documents; the test split is compared on.")],
    finetuned: Annotated[Path, typer.Option(help="Model folder to export.")],
    export: Annotated[Path, typer.Option(help="Folder to write: one folder per target.")],
    report: Annotated[Path, typer.Option(help="File to write: each target against the source, as JSON.")],
    evaluation: Annotated[
        Path | None, typer.Option(help="Report of `evaluate`, by which the registry's champion is chosen.")
    ] = None,
) -> None:
    """Write the model for transformers and onnxruntime, open each again and compare it with the source."""
    from bhasa.export.config import ExportConfig
    from bhasa.stages import tracked

    config = ExportConfig.load(params, "export")
    with tracked("export", params) as tracker:
        run(
            config,
            documents=documents,
            finetuned=finetuned,
            export=export,
            report=report,
            evaluation=evaluation,
            tracker=tracker,
        )


def run(
    config: ExportConfig,
    *,
    documents: Path,
    finetuned: Path,
    export: Path,
    report: Path,
    evaluation: Path | None = None,
    tracker: Tracker,
) -> dict[str, float]:
    """Write the folder `export`, the file `report`, and a version in the model registry.

    Raises `BhasaError` when a target misses a gate; what stood at `export` then stays.
    """
    from bhasa import bundle
    from bhasa.evaluation.report import Report
    from bhasa.export.comparison import read_prompts
    from bhasa.export.targets import TARGETS, Source, require_exportable
    from bhasa.journal import publish, require_space

    source = Source(bundle.load(finetuned), finetuned, config.license)
    require_exportable(config.targets, source.model.config)
    require_space(
        export, 4 * source.model.num_parameters() * (len(config.targets) + 1), "exporting the model"
    )
    prompts = read_prompts(
        documents, bundle.load_tokenizer(finetuned), documents=config.documents, tokens=config.tokens
    )
    tokens = sum(len(prompt.ids) for prompt in prompts)
    _say(f"each target reads {tokens:,} tokens of {len(prompts)} test documents next to the model")
    result = Report(
        models={"finetuned": bundle.weights_sha256(finetuned)},
        context={
            "documents": len(prompts),
            "tokens": tokens,
            "opened_with": {},
            "purpose": {name: TARGETS[name].purpose for name in config.targets},
        },
    )
    with publish(export) as draft:
        draft.mkdir()
        misses = [
            sentence
            for name, gates in config.targets.items()
            for sentence in _export(name, gates, source, draft / name, prompts, result)
        ]
        _require(misses)
    result.save(report)

    tracker.log_input("documents", documents, "export")
    tracker.log_metrics(result.metrics)
    tracker.log_file(report)
    summary = {
        "model_sha256": result.models["finetuned"],
        "parameters": source.model.num_parameters(),
        "compared_tokens": tokens,
    }
    _register(config, export, tracker, summary | _measured(evaluation, result.models["finetuned"]))
    return result.metrics


def _export(
    name: str, gates: Gates, source: Source, folder: Path, prompts: Sequence[Prompt], result: Report
) -> list[str]:
    """Write a target, open it and compare; its figures go into `result`. Returns the gates that it misses."""
    from dataclasses import asdict

    from bhasa.evaluation.figures import Figures
    from bhasa.export.comparison import compare, missed_gates
    from bhasa.export.targets import TARGETS, load_target

    target = load_target(name)
    _say(f"{name}: writing, for {TARGETS[name].purpose}")
    figures = target.write(source, folder)
    runtime = target.read(folder)
    _say(f"{name}: opened with {runtime.name}, comparing")
    if any(runtime.encode(prompt.text) != prompt.ids[1:] for prompt in prompts):
        return [f"{name}: its tokenizer reads a document as other tokens than the source's does"]
    comparison = compare(source.model, runtime, prompts)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    result.context["opened_with"][name] = runtime.name
    result.add(name, "comparison", Figures({"bytes": size, **asdict(comparison), **figures}))
    _say(f"{name}: {size / 1e6:,.1f} MB, {_line(comparison)}")
    misses = missed_gates(comparison, gates.over(TARGETS[name].gates))
    return [f"export.targets.{name}.{sentence}" for sentence in misses]


def _require(misses: list[str]) -> None:
    from bhasa.errors import BhasaError

    if misses:
        raise BhasaError(
            "export missed a gate, and nothing was published:\n  "
            + "\n  ".join(misses)
            + "\nleave the target out of export.targets in params.yaml, or allow more there"
        )


def _line(comparison: Comparison) -> str:
    return (
        f"logits within {comparison.logit_difference:.2g} of the largest, "
        f"KL {comparison.mean_kl:.2g} (at most {comparison.max_kl:.2g}), "
        f"same likeliest token {comparison.same_argmax:.2%}, "
        f"perplexity {comparison.perplexity:.4g} ({comparison.perplexity_increase:+.3f} %)"
    )


def _measured(evaluation: Path | None, sha256: str) -> dict[str, float | str]:
    """What `evaluate` found of the model with these weights; nothing where it measured another one."""
    from bhasa.evaluation.report import Report

    measured = Report.read(evaluation) if evaluation else Report()
    if measured.models.get("finetuned") != sha256:
        return {}
    figures = {name: measured.metrics[f"finetuned.{name}"] for name in ("bits_per_byte", "perplexity")}
    return figures | {"test_texts_sha256": measured.context["texts_sha256"]}


def _register(config: ExportConfig, export: Path, tracker: Tracker, figures: dict[str, Any]) -> None:
    """Add the first target that writes text to the model registry."""
    import bhasa.export
    from bhasa.export.targets import load_target

    for name in (name for name in config.targets if load_target(name).generates):
        tracker.register_model(
            REGISTERED_NAME,
            # By path: importing it would import MLflow and register the file's model here.
            Path(bhasa.export.__path__[0]) / "pyfunc_model.py",
            export / name,
            params=config.sampling.as_mapping(),
            packages=PACKAGES,
            figures=figures | {"target": name},
        )
        return


def _say(line: str) -> None:
    print(f"export: {line}", file=sys.stderr, flush=True)
