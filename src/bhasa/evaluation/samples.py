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


def as_markdown(prompts: Sequence[str], texts: Mapping[str, Sequence[str]], sampling: SamplingConfig) -> str:
    """A page with a section per prompt and in it one text per column of `texts`."""
    drawn = ", ".join(f"{key} {value}" for key, value in sampling.as_mapping().items())
    lines = ["# Samples", "", f"Drawn with {drawn}.", ""]
    for i, prompt in enumerate(prompts):
        lines += [f"## Prompt {i + 1}", "", *_fenced(prompt), ""]
        for title, written in texts.items():
            lines += [f"### {title}", "", *_fenced(written[i]), ""]
    return "\n".join(lines)


def _fenced(content: str) -> list[str]:
    """Shown as it is: the fence is longer than any run of backticks inside."""
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", content)), 3)
    return [f"{fence}text", content, fence]
