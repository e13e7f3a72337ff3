"""Stage 5: how well the base and the fine-tuned model predict unseen text, and what they write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bhasa.evaluation.config import EvaluateConfig
    from bhasa.evaluation.subject import Subject
    from bhasa.hardware import HardwareProfile
    from bhasa.tracking import Tracker


def command(
    params: Annotated[Path, typer.Option(help="File with the section `evaluate`.")],
    hardware: Annotated[Path, typer.Option(help="Hardware profile: where to compute.")],
    documents: Annotated[Path, typer.Option(help="Folder of documents; the test split is measured.")],
    base: Annotated[Path, typer.Option(help="Folder of the model before tuning.")],
    finetuned: Annotated[Path, typer.Option(help="Folder of the model after tuning.")],
    report: Annotated[Path, typer.Option(help="File to write: figures and texts, as JSON.")],
    details: Annotated[Path, typer.Option(help="Folder to write: tables as CSV, texts as Markdown.")],
) -> None:
    """Measure perplexity and bits per byte, and write samples before and after tuning."""
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
            details=details,
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
    details: Path,
    tracker: Tracker,
) -> dict[str, float]:
    """Write the file `report` and the folder `details`, the same bytes on every run; returns the figures."""
    from hashlib import sha256

    from bhasa.evaluation.documents import load_texts
    from bhasa.evaluation.measures import measure
    from bhasa.evaluation.pages import as_markdown
    from bhasa.journal import publish, write_text

    texts = load_texts(documents, max_bytes=config.max_bytes)
    result = measure(texts, _subjects(config, profile, texts, base=base, finetuned=finetuned))
    result.context["sampling"] = config.sampling.as_mapping()
    result.context["texts_sha256"] = sha256("\0".join(texts).encode()).hexdigest()
    with publish(details) as draft:
        draft.mkdir()
        result.write_tables(draft)
        write_text(draft / "samples.md", as_markdown(result))
    result.save(report)

    tracker.log_input("documents", documents, "evaluation")
    tracker.log_metrics(result.metrics)
    for step, values in result.curves():
        tracker.log_metrics(values, step=step)
    for path in (report, details / "samples.md"):
        tracker.log_file(path)
    return result.metrics


def _subjects(
    config: EvaluateConfig, profile: HardwareProfile, texts: Sequence[str], **folders: Path
) -> Iterator[Subject]:
    """The models one after another, each loaded when it is asked for."""
    from bhasa import bundle
    from bhasa.evaluation.subject import Subject

    device = profile.prepare()
    for name, folder in folders.items():
        yield Subject(
            name,
            bundle.weights_sha256(folder),
            chats=name == "finetuned",
            model=bundle.load(folder, device, backend=profile.backend),
            tokenizer=bundle.load_tokenizer(folder),
            texts=texts,
            config=config,
        )
