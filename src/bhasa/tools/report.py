"""`bhasa report`: the figures of the last run as one Markdown page section, made from `reports/`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

BEGIN, END = "<!-- results: made by `bhasa report --into README.md` -->", "<!-- end of results -->"


def command(
    reports: Annotated[Path, typer.Option(help="Folder of the reports.")] = Path("reports"),
    into: Annotated[Path | None, typer.Option(help="File whose marked section to replace.")] = None,
) -> None:
    """Show what the last run measured, as a table and a sample."""
    text = render(reports)
    if into is None:
        typer.echo(text)
    else:
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


def render(reports: Path) -> str:
    """The table of the last run and one sample, as Markdown."""
    from bhasa.journal import read_json

    stages = ("ingest", "tokenize", "pretrain", "finetune", "evaluate", "export", "speed")
    values = {stage: read_json(reports / f"{stage}.json") for stage in stages}
    return "\n".join([*_likelihood(values), "", *_facts(values), "", *_exports(values), "", *_sample(values)])


def _likelihood(values: Mapping[str, Any]) -> list[str]:
    evaluation = values["evaluate"]
    rows = [
        f"| {title} | {evaluation[key]['perplexity']:.2f} | {evaluation[key]['bits_per_byte']:.3f} |"
        for title, key in (("base", "base"), ("fine-tuned", "finetuned"))
    ]
    return [
        f"| {evaluation['documents']} test documents, {evaluation['bytes']:,} bytes "
        "| perplexity | bits per byte |",
        "| --- | --- | --- |",
        *rows,
        f"| xz, preset 9 | - | {evaluation['xz']['bits_per_byte']:.3f} |",
    ]


def _facts(values: Mapping[str, Any]) -> list[str]:
    pretrain, finetune, speed = values["pretrain"], values["finetune"], values["speed"]
    decoding, machine = speed["finetuned"], speed["machine"]
    return [
        f"{values['ingest']['documents']['train']['documents']:,} documents trained a model of "
        f"{pretrain['parameters']:,} parameters for {pretrain['steps']:,} steps: validation loss "
        f"{pretrain['initial_validation_loss']:.2f} to {pretrain['validation_loss']:.2f} nats per token. "
        f"LoRA ({finetune['trained_parameters']:,} parameters) took the loss on held-out answers from "
        f"{finetune['initial_validation_loss']:.2f} to {finetune['validation_loss']:.2f}. Decoding runs at "
        f"{decoding['tokens_per_second']:,.0f} tokens per second after "
        f"{1000 * decoding['seconds_to_first_token']:.0f} ms for a prompt of "
        f"{decoding['prompt_tokens']} tokens, "
        f"with {decoding['state_bytes'] / 1024:.0f} KiB of state "
        f"({speed['device']}, {machine['threads']} threads, {machine['instruction_set']}, "
        f"torch {machine['torch']})."
    ]


def _exports(values: Mapping[str, Any]) -> list[str]:
    rows = [
        f"| `{name}` | {target['opened_with']} | {target['bytes'] / 1e6:.1f} MB | "
        f"{target['max_logit_difference']:.1e} | {target['mean_kl']:.1e} | "
        f"{target['perplexity_increase']:+.3f} % |"
        for name, target in values["export"]["targets"].items()
    ]
    return [
        "| export | opened again with | size | largest logit difference | mean KL, nats | perplexity |",
        "| --- | --- | --- | --- | --- | --- |",
        *rows,
    ]


def _sample(values: Mapping[str, Any]) -> list[str]:
    """What each model made of the first prompt."""
    from bhasa.evaluation.samples import section

    lines = section(values["evaluate"]["samples"][0], "####")
    return ["What the models make of a prompt, the first of `reports/samples.md`:", "", *lines]
