"""`bhasa report`: the figures of the last run as one Markdown page section, made from `reports/`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bhasa.evaluation.report import Report

BEGIN, END = "<!-- results: made by `bhasa report --into README.md` -->", "<!-- end of results -->"
LEFT_OUT = "Left out: "


def command(
    reports: Annotated[Path, typer.Option(help="Folder of the reports.")] = Path("reports"),
    model: Annotated[Path, typer.Option(help="Model that the figures must be of, if it is there.")] = Path(
        "models/finetuned"
    ),
    into: Annotated[
        Path | None,
        typer.Option(help="File whose marked section to replace, by what does not depend on the machine."),
    ] = None,
) -> None:
    """Show what the last run measured, as tables and a sample."""
    if into is None:
        typer.echo(f"{render(reports, model)}\n{speeds(reports, model)}")
        return
    from bhasa.errors import UserError

    text = render(reports, model)
    if stale := [line for line in text.splitlines() if line.startswith(LEFT_OUT)]:
        raise UserError(f"{into} is left as it was: " + "; ".join(stale))
    replace_section(into, BEGIN, END, text)


def replace_section(path: Path, begin: str, end: str, text: str) -> None:
    """Put `text` between the one `begin` and the one `end` of the file."""
    from bhasa.errors import UserError
    from bhasa.journal import write_text

    page = path.read_text(encoding="utf-8")
    if page.count(begin) != 1 or page.count(end) != 1:
        raise UserError(f"{path}: expected one '{begin}' and one '{end}' around the section to replace")
    before, rest = page.split(begin)
    write_text(path, f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}")


def render(reports: Path, model: Path) -> str:
    """What every machine that makes the same model finds, as Markdown: tables, training and one sample.

    A report that is of another model than the folder `model`, or than the evaluation where there is no such
    folder, is left out, and a line says so.
    """
    models = _models(reports, model)
    parts = (
        _if_of(models, reports / "evaluate.json", _likelihood),
        _training(reports, models),
        _if_of(models, reports / "export.json", _exports),
        _if_of(models, reports / "evaluate.json", _sample),
    )
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def speeds(reports: Path, model: Path) -> str:
    """How fast the model and its exports were on the machine that `speed.json` names, as Markdown."""
    if not (reports / "speed.json").is_file():
        return f"No speeds: there is no {reports / 'speed.json'}; `dvc repro` measures them.\n"
    return "\n".join(_if_of(_models(reports, model), reports / "speed.json", _speeds)) + "\n"


def _models(reports: Path, model: Path) -> dict[str, str]:
    """The hashes of the weights that all figures must be of."""
    from bhasa import bundle
    from bhasa.evaluation.report import Report

    models = Report.read(reports / "evaluate.json").models
    there = (model / bundle.WEIGHTS).is_file()
    return models | {"finetuned": bundle.weights_sha256(model)} if there else models


def _if_of(models: Mapping[str, str], path: Path, show: Callable[[Report], list[str]]) -> list[str]:
    from bhasa.evaluation.report import Report

    report = Report.read(path)
    if report.models["finetuned"] == models["finetuned"]:
        return show(report)
    return [_of_another(path, report.models["finetuned"], models["finetuned"])]


def _of_another(path: Path, found: str, expected: str) -> str:
    what = f"{path} is of model {found[:12]}, this one is {expected[:12]}"
    return f"{LEFT_OUT}{what}; `dvc repro` measures it anew."


def _likelihood(report: Report) -> list[str]:
    figures = report.metrics
    rows = [
        f"| {title} | {figures[f'{key}.perplexity']:.2f} | {figures[f'{key}.bits_per_byte']:.3f} |"
        for title, key in (("base", "base"), ("fine-tuned", "finetuned"))
    ]
    return [
        f"| {figures['documents']} test documents, {figures['bytes']:,} bytes | perplexity | bits per byte |",
        "| --- | --- | --- |",
        *rows,
        f"| xz, preset 9 | - | {figures['xz.bits_per_byte']:.3f} |",
    ]


def _training(reports: Path, models: Mapping[str, str]) -> list[str]:
    """From what each model was trained, and to what loss."""
    from bhasa.journal import read_json

    values: dict[str, Any] = {name: read_json(reports / f"{name}.json") for name in ("pretrain", "finetune")}
    for name, key in (("pretrain", "base"), ("finetune", "finetuned")):
        found = values[name]["model_sha256"]
        if found != models[key]:
            return [_of_another(reports / f"{name}.json", found, models[key])]
    documents = read_json(reports / "ingest.json")["documents"]["train"]["documents"]
    pretrain, finetune = values["pretrain"], values["finetune"]
    return [
        f"{documents:,} documents trained a model of {pretrain['parameters']:,} parameters for "
        f"{pretrain['steps']:,} steps: validation loss {pretrain['initial_validation_loss']:.2f} to "
        f"{pretrain['validation_loss']:.2f} nats per token. "
        f"LoRA ({finetune['trained_parameters']:,} parameters) took the "
        f"loss on held-out answers from {finetune['initial_validation_loss']:.2f} to "
        f"{finetune['validation_loss']:.2f}."
    ]


def _exports(report: Report) -> list[str]:
    context, rows = report.context, []
    for name, opened_with in context["opened_with"].items():
        figures = {key.removeprefix(f"{name}."): value for key, value in report.metrics.items()}
        rows.append(
            f"| `{name}` | {context['purpose'][name]} | {opened_with} | {figures['bytes'] / 1e6:.1f} MB | "
            f"{figures['mean_kl']:.1e} | {figures['max_kl']:.1e} | {figures['same_argmax']:.2%} | "
            f"{figures['perplexity_increase']:+.3f} % |"
        )
    return [
        f"Exports, each read back and compared with the model on {context['tokens']:,} tokens of "
        f"{context['documents']} test documents:",
        "",
        "| export | for | opened with | size | mean KL, nats | largest | same likeliest token | perplexity |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *rows,
    ]


def _sample(report: Report) -> list[str]:
    """What each model made of the first prompt."""
    from bhasa.evaluation.pages import by_prompt, section

    _, texts = by_prompt(report.texts)[0]
    return [
        "What the models make of a prompt, the first of `reports/evaluation/samples.md`:",
        "",
        *section(texts, "####"),
    ]


def _speeds(report: Report) -> list[str]:
    figures, machine = report.metrics, report.context["machine"]
    rows = [
        f"| {name.removesuffix('.tokens_per_second')} | {value:,.0f} |"
        for name, value in figures.items()
        if name.endswith(".tokens_per_second")
    ]
    return [
        f"| decoding on {report.context['device']}, {machine['threads']} threads, "
        f"{machine['instruction_set']}, torch {machine['torch']} | tokens per second |",
        "| --- | --- |",
        *rows,
        "",
        f"The first token comes after {1000 * figures['finetuned.seconds_to_first_token']:.0f} ms "
        f"for a prompt of {figures['finetuned.prompt_tokens']} tokens; the state is "
        f"{figures['finetuned.state_bytes'] / 1024:.0f} KiB.",
    ]
