"""A training step: the program beside a transformer of equal products, mambapy and transformers."""

from collections.abc import Callable, Iterator

import psutil
import torch
from torch import nn

from benchmarks import options, peers
from benchmarks.transformer import GPT, GPTConfig
from bhasa.measure import limits, workloads
from bhasa.measure.table import Row
from bhasa.measure.timing import Job
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import LanguageModel, build

TITLE = "Training step: forward, backward, clipping, AdamW"
CONFIG = ModelConfig(d_model=512, n_layer=8, vocab_size=8192)
SHAPES = ((2, 512), (1, 2048), (1, 8192))
QUICK_CONFIG, QUICK = ModelConfig(d_model=32, n_layer=2, vocab_size=64), ((2, 24),)
CHECKED = 64  # tokens whose logits are compared
LONGEST_LOOP = 1024  # tokens, for the peer that loops over time in Python

Make = Callable[[LanguageModel], nn.Module]

MAMBAS: dict[str, Make] = {
    "mambapy": peers.mambapy_model,
    "transformers, use_mambapy": lambda model: peers.transformers_model(model, use_mambapy=True),
    "transformers": peers.transformers_model,
}


def measure(given: options.Options) -> tuple[dict[str, float], list[Row]]:
    model = build(QUICK_CONFIG if given.quick else CONFIG, seed=0)
    shapes = QUICK if given.quick else SHAPES
    rates = limits.machine_rates(model, shapes[0][0] * shapes[0][1])
    return rates, [row for shape in shapes for row in _case(given, model.config, *shape, rates)]


def _case(
    given: options.Options, config: ModelConfig, rows: int, length: int, rates: dict[str, float]
) -> Iterator[Row]:
    batches = workloads.SameBatch(rows, length, config.vocab_size)
    model = build(config, seed=0)
    errors, jobs, notes = {}, {}, {}
    errors["bhasa"] = peers.logits_error(model, model, CHECKED)
    jobs["bhasa"] = workloads.training_step(model, batches)
    gpt = _transformer(model, length)
    jobs["transformer of equal products"] = peers.training_step(gpt, batches)
    if not given.quick:
        jobs["the same, compiled"] = _compiled(gpt, batches)
    for name, make in MAMBAS.items():
        if note := _hindrance(name, config, rows * length):
            notes[name] = note
        else:
            peer = make(model)
            errors[name] = peers.logits_error(peer, model, CHECKED)
            jobs[name] = peers.training_step(peer, batches)
    yield from _timed(given, f"{rows} x {length}", jobs, errors, rows * length, model, rates)
    yield from (Row(f"{rows} x {length}", name, note=note) for name, note in notes.items())


def _timed(
    given: options.Options,
    case: str,
    jobs: dict[str, Job],
    errors: dict[str, float],
    tokens: int,
    model: LanguageModel,
    rates: dict[str, float],
) -> Iterator[Row]:
    least = 6 * limits.product_parameters(model) * tokens / limits.fastest_products(rates)
    for name, timing in given.timed(jobs).items():
        yield Row(case, name, timing, least, tokens / timing.median, "tokens/s", errors.get(name))


def _transformer(model: LanguageModel, length: int) -> GPT:
    """Half as many layers, each of twice the products of a Mamba layer."""
    config = model.config
    return GPT(
        GPTConfig.like(
            limits.product_parameters(model),
            d_model=config.d_model,
            n_layer=config.n_layer // 2,
            context_length=length,
            vocab_size=config.vocab_size,
        )
    )


def _compiled(gpt: GPT, batches: workloads.SameBatch) -> Job:
    """Compiled before anything is timed."""
    job = peers.training_step(torch.compile(gpt), batches)
    job()
    return job


def _hindrance(name: str, config: ModelConfig, tokens: int) -> str:
    """Why a Mamba peer cannot run here, or nothing."""
    if "mambapy" in name and not peers.has_mambapy():
        return peers.MISSING
    if name == "transformers" and tokens > LONGEST_LOOP:
        return "not run: its loop over time in Python takes minutes a step"
    # Each keeps about six tensors as large as the states of every token until backward.
    needed = 6 * 4 * config.n_layer * tokens * config.d_inner * config.d_state
    available = psutil.virtual_memory().available
    if needed > 0.9 * available:
        return f"needs more than {needed / 1e9:.0f} GB of memory; {available / 1e9:.0f} GB are free"
    return ""


if __name__ == "__main__":
    options.main("training", TITLE, measure)
