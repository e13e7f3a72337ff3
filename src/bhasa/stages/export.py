"""Stage 6: the tuned model in the forms in which others use it, each opened again and compared."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from bhasa.export.comparison import Comparison, Logits, Prompt
    from bhasa.export.config import ExportConfig
    from bhasa.export.targets import Target
    from bhasa.model.language_model import LanguageModel
    from bhasa.tracking import Tracker

REGISTERED_NAME = "bhasa"
PACKAGES = ("mlflow", "numpy", "onnxruntime", "pandas", "tokenizers")  # what `pyfunc_model.py` needs


def command(
    params: Annotated[Path, typer.Option(help="File with the section `export`.")],
    documents: Annotated[Path, typer.Option(help="Folder of documents; a test document is the prompt.")],
    finetuned: Annotated[Path, typer.Option(help="Model folder to export.")],
    export: Annotated[Path, typer.Option(help="Folder to write: one folder per target.")],
    report: Annotated[Path, typer.Option(help="File to write: each target against the source, as JSON.")],
) -> None:
    """Write the model for transformers and onnxruntime, open each again and compare it with the source."""
    from bhasa.export.config import ExportConfig
    from bhasa.stages import tracked

    config = ExportConfig.load(params, "export")
    with tracked("export", params) as tracker:
        run(config, documents=documents, finetuned=finetuned, export=export, report=report, tracker=tracker)


def run(
    config: ExportConfig, *, documents: Path, finetuned: Path, export: Path, report: Path, tracker: Tracker
) -> dict[str, float | int | str]:
    """Write the folder `export`, the file `report`, and a version in the model registry.

    Raises `BhasaError` when a target misses a gate; what stood at `export` then stays.
    """
    from bhasa import bundle
    from bhasa.export.comparison import read_prompt, source_logits
    from bhasa.export.targets import load_target, require_exportable
    from bhasa.journal import publish, require_space, sha256_file, write_json

    model = bundle.load(finetuned)
    require_exportable(config.targets, model.config)
    require_space(export, 4 * model.num_parameters() * (len(config.targets) + 1), "exporting the model")
    prompt = read_prompt(documents, bundle.load_tokenizer(finetuned), config.prompt_tokens)
    _say(f"the source model reads {len(prompt.ids)} tokens of the test split")
    expected = source_logits(model, prompt)
    targets = {name: load_target(name) for name in config.targets}
    values: dict[str, Any] = {}
    misses: list[str] = []
    with publish(export) as draft:
        draft.mkdir()
        for name, target in targets.items():
            values[name], missed = _export(
                name,
                target,
                config,
                draft / name,
                model=model,
                source=finetuned,
                prompt=prompt,
                expected=expected,
            )
            misses += [f"{name}: {sentence}" for sentence in missed]
        _require(misses)
    summary = {
        "model_sha256": sha256_file(finetuned / bundle.WEIGHTS),
        "parameters": model.num_parameters(),
        "prompt_tokens": len(prompt.ids),
    }
    write_json(report, summary | {"targets": values})

    metrics = _metrics(values)
    tracker.log_input("documents", documents, "export")
    tracker.log_metrics(metrics)
    tracker.log_file(report)
    _register(config, targets, export, tracker, summary)
    return dict(metrics)


def _export(
    name: str,
    target: Target,
    config: ExportConfig,
    folder: Path,
    *,
    model: LanguageModel,
    source: Path,
    prompt: Prompt,
    expected: Logits,
) -> tuple[dict[str, Any], list[str]]:
    """Write a target, open it and compare: its part of the report, and the gates it misses."""
    from bhasa.export.comparison import compare, missed_gates

    _say(f"{name}: writing")
    figures = target.write(model, source, folder)
    runtime = target.read(folder)
    _say(f"{name}: opened with {runtime.name}, comparing")
    if runtime.encode(prompt.text) != prompt.ids[1:]:
        return {}, ["its tokenizer reads the prompt as other tokens than the source's; rebuild the tokenizer"]
    comparison = compare(expected, runtime.logits(prompt.ids), prompt.ids)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    values = {"opened_with": runtime.name, "bytes": size} | _figures(comparison) | dict(figures)
    _say(_line(name, values))
    return values, missed_gates(comparison, config, exact=target.exact)


def _require(misses: list[str]) -> None:
    from bhasa.errors import BhasaError

    if misses:
        raise BhasaError(
            "export missed a gate, and nothing was published:\n  "
            + "\n  ".join(misses)
            + "\nleave the target out of export.targets in params.yaml, or allow more there"
        )


def _figures(comparison: Comparison) -> dict[str, float]:
    from dataclasses import asdict

    figures = asdict(comparison) | {"perplexity_increase": comparison.perplexity_increase}
    return {key: float(f"{value:.6g}") for key, value in figures.items()}


def _line(name: str, values: dict[str, Any]) -> str:
    return (
        f"{name}: {values['bytes'] / 1e6:,.1f} MB, logits within {values['max_logit_difference']:.2g} "
        f"({values['relative_logit_difference']:.2g} of the largest), KL {values['mean_kl']:.2g}, "
        f"same likeliest token {values['same_argmax']:.1%}, perplexity {values['perplexity']:.4g} "
        f"({values['perplexity_increase']:+.3f} %)"
    )


def _metrics(values: dict[str, Any]) -> dict[str, float]:
    """The report's numbers, flat."""
    return {
        f"{target}.{key}": value
        for target, figures in values.items()
        for key, value in figures.items()
        if isinstance(value, int | float)
    }


def _register(
    config: ExportConfig, targets: dict[str, Target], export: Path, tracker: Tracker, tags: dict[str, Any]
) -> None:
    """Make the first target that writes text the champion of the model registry."""
    import bhasa.export

    for name in (name for name, target in targets.items() if target.generates):
        tracker.register_model(
            REGISTERED_NAME,
            # By path: importing it would import MLflow and register the file's model here.
            Path(bhasa.export.__path__[0]) / "pyfunc_model.py",
            export / name,
            params=config.sampling.as_mapping(),
            packages=PACKAGES,
            champion=True,
            tags=tags | {"target": name},
        )
        return


def _say(line: str) -> None:
    print(f"export: {line}", file=sys.stderr, flush=True)
