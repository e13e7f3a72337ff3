"""The texts of a report as Markdown, prompt by prompt, to be read side by side."""

import re
from collections.abc import Sequence
from itertools import groupby

from bhasa.evaluation.figures import Text
from bhasa.evaluation.report import Report


def as_markdown(report: Report) -> str:
    """A page with a section for each prompt, and what wrote the texts above it."""
    models = ", ".join(f"{name} {sha[:12]}" for name, sha in report.models.items())
    drawn = ", ".join(f"{key} {value}" for key, value in report.context.get("sampling", {}).items())
    lines = ["# Samples", "", f"Written by {models}; {drawn}.", ""]
    for number, (_, texts) in enumerate(by_prompt(report.texts), start=1):
        lines += [f"## Prompt {number}", "", *section(texts, "###")]
    return "\n".join(lines)


def by_prompt(texts: Sequence[Text]) -> list[tuple[str, list[Text]]]:
    """The texts of each prompt in the order of writing; the prompts in the order in which they first come."""
    order = {text.prompt: number for number, text in reversed(list(enumerate(texts)))}
    ordered = sorted(texts, key=lambda text: order[text.prompt])
    return [(prompt, list(group)) for prompt, group in groupby(ordered, key=lambda text: text.prompt)]


def section(texts: Sequence[Text], heading: str) -> list[str]:
    """The lines of one prompt: the prompt, then each text under the name of its writer."""
    lines = [*_fenced(texts[0].prompt), ""]
    for text in texts:
        lines += [f"{heading} {text.writer}", "", *_fenced(text.text), ""]
    return lines


def _fenced(content: str) -> list[str]:
    """Shown as it is: the fence is longer than any run of backticks inside."""
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", content))])
    return [f"{fence}text", content, fence]
