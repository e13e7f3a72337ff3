"""How fast a model writes: the time until the first token, and tokens per second after it."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bhasa.evaluation.config import SpeedConfig
from bhasa.inference.config import SamplingConfig
from bhasa.inference.generate import generate
from bhasa.model.language_model import LanguageModel


@dataclass(frozen=True)
class Speed:
    """Medians over the timed runs, of one text at a time."""

    prompt_tokens: int
    new_tokens: int
    seconds_to_first_token: float
    """Reading the prompt and choosing the first token."""
    tokens_per_second: float
    """Of recurrent decoding, after the first token."""
    state_bytes: int
    """All that the model remembers of a text, however long."""


def measure(model: LanguageModel, prompt_ids: Sequence[int], config: SpeedConfig) -> Speed:
    """Time the greedy continuation of `prompt_ids`, repeated or cut to the configured length."""
    copies = -(-config.prompt_tokens // len(prompt_ids))
    prompt = (list(prompt_ids) * copies)[: config.prompt_tokens]
    runs = [_run(model, prompt, config.new_tokens) for _ in range(1 + config.repeats)][
        1:
    ]  # the first warms up
    return Speed(
        prompt_tokens=len(prompt),
        new_tokens=config.new_tokens,
        seconds_to_first_token=statistics.median(first for first, _ in runs),
        tokens_per_second=statistics.median((config.new_tokens - 1) / rest for _, rest in runs),
        state_bytes=sum(part.nbytes for layer in model.initial_state(1) for part in layer),
    )


def _run(model: LanguageModel, prompt: list[int], new_tokens: int) -> tuple[float, float]:
    """Seconds to the first token, and from there to the last."""
    tokens = generate(model, prompt, SamplingConfig(temperature=0.0, max_new_tokens=new_tokens))
    started = time.perf_counter()
    next(tokens)
    first = time.perf_counter()
    for _ in tokens:
        pass
    return first - started, time.perf_counter() - first
