"""The measure of the stage `speed`: the time until the first token, and tokens per second after it."""

import statistics
import time
from collections.abc import Callable, Sequence

from bhasa.evaluation.config import SpeedConfig
from bhasa.evaluation.figures import Figures
from bhasa.inference.config import SamplingConfig
from bhasa.inference.generate import generate
from bhasa.model.language_model import LanguageModel


def decoding(model: LanguageModel, config: SpeedConfig) -> Figures:
    """Medians over greedy continuations of one text; which text makes no difference to the speed."""
    prompt = ids(config.prompt_tokens, model.config.vocab_size)
    runs = [_run(model, prompt, config.new_tokens) for _ in range(1 + config.repeats)]
    timed = runs[1:]  # the first warms up
    return Figures(
        {
            "prompt_tokens": config.prompt_tokens,
            "new_tokens": config.new_tokens,
            "seconds_to_first_token": statistics.median(first for first, _ in timed),
            "tokens_per_second": statistics.median((config.new_tokens - 1) / rest for _, rest in timed),
            "state_bytes": sum(part.nbytes for layer in model.initial_state(1) for part in layer),
        }
    )


def stepping(read: Callable[[list[int]], object], vocab_size: int, config: SpeedConfig) -> Figures:
    """The same of a program that can only be told to `read` tokens, which it does one step after another."""
    tokens = ids(config.new_tokens, vocab_size)
    seconds = [_seconds(lambda: read(tokens)) for _ in range(1 + config.repeats)]
    return Figures({"tokens_per_second": config.new_tokens / statistics.median(seconds[1:])})


def ids(count: int, vocab_size: int) -> list[int]:
    """That many different ids, or all of them again and again."""
    return [i % vocab_size for i in range(count)]


def _run(model: LanguageModel, prompt: Sequence[int], new_tokens: int) -> tuple[float, float]:
    """Seconds to the first token, and from there to the last."""
    tokens = generate(model, prompt, SamplingConfig(temperature=0.0, max_new_tokens=new_tokens))
    started = time.perf_counter()
    next(tokens)
    first = time.perf_counter()
    for _ in tokens:
        pass
    return first - started, time.perf_counter() - first


def _seconds(job: Callable[[], object]) -> float:
    started = time.perf_counter()
    job()
    return time.perf_counter() - started
