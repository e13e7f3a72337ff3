"""Texts to read: what the models make of fixed prompts, before and after tuning, side by side."""

import re
from collections.abc import Mapping, Sequence

from tokenizers import Tokenizer

from bhasa.inference import text
from bhasa.inference.chat import ChatSession
from bhasa.inference.config import SamplingConfig
from bhasa.inference.generate import generate
from bhasa.model.language_model import LanguageModel


def continuations(
    model: LanguageModel, tokenizer: Tokenizer, prompts: Sequence[str], sampling: SamplingConfig
) -> list[str]:
    """Each prompt as the beginning of a document, continued; without the prompt."""
    stop_ids = text.special_ids(tokenizer)
    tokens = (generate(model, text.document_ids(tokenizer, p), sampling, stop_ids=stop_ids) for p in prompts)
    return ["".join(text.stream(tokenizer, ids)) for ids in tokens]


def replies(
    model: LanguageModel, tokenizer: Tokenizer, prompts: Sequence[str], sampling: SamplingConfig
) -> list[str]:
    """Each prompt as the first message of its own conversation, answered."""
    return ["".join(ChatSession(model, tokenizer, sampling).reply(prompt)) for prompt in prompts]


def as_markdown(samples: Sequence[Mapping[str, str]], drawn: str) -> str:
    """A page with a section per sample; `drawn` says how they came about."""
    lines = ["# Samples", "", drawn, ""]
    for number, sample in enumerate(samples, start=1):
        lines += [f"## Prompt {number}", "", *section(sample, "###")]
    return "\n".join(lines)


def section(sample: Mapping[str, str], heading: str) -> list[str]:
    """The lines of one sample: its prompt, then each text under the name of its writer."""
    lines = [*_fenced(sample["prompt"]), ""]
    for writer, written in sample.items():
        if writer != "prompt":
            lines += [f"{heading} {writer}", "", *_fenced(written), ""]
    return lines


def _fenced(content: str) -> list[str]:
    """Shown as it is: the fence is longer than any run of backticks inside."""
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", content))])
    return [f"{fence}text", content, fence]
