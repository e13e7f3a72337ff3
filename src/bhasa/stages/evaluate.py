"""Stage 5: how well the base and the fine-tuned model predict unseen text, how fast they write, and what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Tokenizer

    from bhasa.evaluation.config import EvaluateConfig
    from bhasa.hardware import HardwareProfile
    from bhasa.model.language_model import LanguageModel
    from bhasa.tracking import Tracker


def command(
    params: Annotated[Path, typer.Option(help="File with the section `evaluate`.")],
    hardware: Annotated[Path, typer.Option(help="Hardware profile: where to compute.")],
    documents: Annotated[Path, typer.Option(help="Folder of documents; the test split is measured.")],
    base: Annotated[Path, typer.Option(help="Folder of the model before tuning.")],
    finetuned: Annotated[Path, typer.Option(help="Folder of the model after tuning.")],
    report: Annotated[Path, typer.Option(help="File to write: likelihoods, as JSON.")],
    samples: Annotated[Path, typer.Option(help="File to write: texts of both models, as Markdown.")],
    speed: Annotated[Path, typer.Option(help="File to write: the speed of decoding, as JSON.")],
) -> None:
    """Measure perplexity, bits per byte and speed, and write samples before and after tuning."""
    from bhasa.evaluation.config import EvaluateConfig
    from bhasa.hardware import HardwareProfile
    from bhasa.stages import tracked

    config = EvaluateConfig.load(params, "evaluate")
    profile = HardwareProfile.load(hardware)
    with tracked("evaluate", params) as tracker:
        run(
            config,
            profile=profile,
            documents=documents,
            base=base,
            finetuned=finetuned,
            report=report,
            samples=samples,
            speed=speed,
            tracker=tracker,
        )


def run(
    config: EvaluateConfig,
    *,
    profile: HardwareProfile,
    documents: Path,
    base: Path,
    finetuned: Path,
    report: Path,
    samples: Path,
    speed: Path,
    tracker: Tracker,
) -> dict[str, float | int | str]:
    """Write the files `report`, `samples` and `speed`; only the last one differs from run to run.

    DVC keeps the report. The page of samples shows what stands in it, and like the speeds names its model.
    """
    from bhasa import bundle
    from bhasa.evaluation.compression import xz_bits_per_byte
    from bhasa.evaluation.documents import load_texts
    from bhasa.evaluation.samples import as_markdown, continuations, replies
    from bhasa.journal import write_json, write_text

    device = profile.prepare()
    texts = load_texts(documents, max_bytes=config.max_bytes)
    values: dict[str, Any] = {
        "documents": len(texts),
        "bytes": sum(len(text.encode()) for text in texts),
        "xz": {"bits_per_byte": round(xz_bits_per_byte(texts), 6)},
    }
    written = {}
    for name, folder in (("base", base), ("finetuned", finetuned)):
        model = bundle.load(folder, device, backend=profile.backend)
        tokenizer = bundle.load_tokenizer(folder)
        values[name] = _likelihood(name, model, tokenizer, texts, values["bytes"], config)
        written[name] = continuations(model, tokenizer, config.prompts, config.sampling)
    written["finetuned, in a chat"] = replies(model, tokenizer, config.prompts, config.sampling)
    values["samples"] = [
        {"prompt": prompt} | {writer: texts[i] for writer, texts in written.items()}
        for i, prompt in enumerate(config.prompts)
    ]
    speeds = _speed(model, tokenizer, texts, finetuned, config)

    drawn = ", ".join(f"{key} {value}" for key, value in config.sampling.as_mapping().items())
    stamp = f"Written by model {speeds['model_sha256'][:12]} and its base; {drawn}."
    write_text(samples, as_markdown(values["samples"], stamp))
    write_json(speed, speeds)
    write_json(report, values)
    metrics = _metrics(values) | {f"speed.{key}": value for key, value in speeds["finetuned"].items()}
    tracker.log_input("documents", documents, "evaluation")
    tracker.log_metrics(metrics)
    for name in ("base", "finetuned"):
        for row in values[name]["loss_by_position"]:
            tracker.log_metrics({f"{name}.loss_by_position": row["loss"]}, step=row["up_to"])
    for path in (report, samples, speed):
        tracker.log_file(path)
    return dict(metrics)


def _likelihood(
    name: str,
    model: LanguageModel,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    size: int,
    config: EvaluateConfig,
) -> dict[str, Any]:
    """One model's part of the report."""
    from bhasa.evaluation.perplexity import loss_by_position, score, token_losses
    from bhasa.tokens.bpe import encode_documents

    documents = list(encode_documents(tokenizer, texts))
    losses = token_losses(model, documents, batch=config.batch, chunk=config.chunk, what=f"evaluate {name}")
    result = score(losses, size)
    return {
        "perplexity": round(result.perplexity, 6),
        "bits_per_byte": round(result.bits_per_byte, 6),
        "loss": round(result.loss, 6),
        "tokens": result.tokens,
        "loss_by_position": [
            {"up_to": position, "loss": round(loss, 6)} for position, loss in loss_by_position(losses)
        ],
    }


def _speed(
    model: LanguageModel, tokenizer: Tokenizer, texts: Sequence[str], folder: Path, config: EvaluateConfig
) -> dict[str, Any]:
    """Speed of the fine-tuned model, stamped with what it was measured on."""
    from dataclasses import asdict

    from bhasa import bundle
    from bhasa.evaluation.speed import measure
    from bhasa.hardware import machine
    from bhasa.inference.text import document_ids
    from bhasa.journal import sha256_file

    measured = measure(model, document_ids(tokenizer, texts[0]), config.speed)
    return {
        "model_sha256": sha256_file(folder / bundle.WEIGHTS),
        "device": str(next(model.parameters()).device),
        "machine": machine(),
        "finetuned": asdict(measured),
    }


def _metrics(values: dict[str, Any]) -> dict[str, float]:
    """The report's numbers, flat."""
    flat = {key: values[key] for key in ("documents", "bytes")}
    for name in ("base", "finetuned", "xz"):
        flat |= {
            f"{name}.{key}": value for key, value in values[name].items() if isinstance(value, int | float)
        }
    return flat
