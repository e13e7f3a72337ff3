"""Validation loss after the same seconds of training: families of equal parameters, characters of one text.

The schedule follows the clock: a family that computes faster sees more of the text. The rate was chosen for
each family among 2e-3, 4e-3 and 8e-3 with seed 100, which is none of the table's; it is the same for all.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import options
from benchmarks.time_to_loss import splits
from bhasa.hardware import HardwareProfile
from bhasa.measure import limits, machine, table
from bhasa.measure.timing import Timing
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import LanguageModel, build
from bhasa.tokens.loader import WindowLoader
from bhasa.training.config import PretrainPreset
from bhasa.training.schedule import learning_rate
from bhasa.training.step import Stepper, mean_loss

TITLE = "Validation loss after equal time: families of equal parameters, characters of one text"
SHAPE = {"d_model": 128, "n_layer": 8}
MAMBA2 = {"ssm": "mamba2", "d_state": 64, "headdim": 32}
FAMILIES: dict[str, dict[str, Any]] = {
    "Mamba": {},
    "Mamba-2": MAMBA2,
    "hybrid, 1 attention in 8": {**MAMBA2, "pattern": "4M*3M", "attention": {"num_heads": 4}},
}
RATE = 4e-3
TICKS = 1000  # of the schedule


def preset(rate: float) -> PretrainPreset:
    return PretrainPreset(
        context_length=256,
        tokens_per_step=8 * 256,
        tokens=8 * 256 * TICKS,
        learning_rate=rate,
        min_learning_rate_ratio=0.02,
        warmup_fraction=0.05,
        beta2=0.99,
        validation_sequences=256,
    )


def train(text: str, family: str, seed: int, seconds: float, rate: float) -> tuple[LanguageModel, int, float]:
    """The model after `seconds`, the steps that it made, and its validation loss in nats a character."""
    train_split, validation_split, vocab_size = splits(text)
    values = {**SHAPE, **FAMILIES[family], "vocab_size": vocab_size}
    model, config = build(ModelConfig.parse(values, "benchmarks/families.py"), seed=seed), preset(rate)
    hardware = HardwareProfile(device="cpu", precision="fp32", micro_batch=config.sequences_per_step)
    stepper = Stepper(model, config, hardware, seed=seed)
    batches = WindowLoader(train_split, config.context_length, seed=seed)
    started, step = time.perf_counter(), 0
    while (passed := time.perf_counter() - started) < seconds:
        rate_now = learning_rate(int(TICKS * passed / seconds), steps=TICKS, config=config)
        stepper.train_step(batches, step, sequences=config.sequences_per_step, rate=rate_now)
        step += 1
    validation = WindowLoader(validation_split, config.context_length, seed=None)
    sequences = min(config.validation_sequences, validation.rows_per_epoch)
    return model, step, mean_loss(model, validation, sequences, hardware)


def measure(given: argparse.Namespace) -> tuple[dict[str, float], list[table.Row]]:
    """The families take turns, seed by seed."""
    text = given.text.read_text(encoding="utf-8")
    seconds = 1.0 if given.quick else given.seconds
    runs: dict[str, list[tuple[LanguageModel, int, float]]] = {family: [] for family in FAMILIES}
    for seed in range(given.seeds):
        for family in FAMILIES:
            runs[family].append(train(text, family, seed + given.first_seed, seconds, given.rate))
            print(f"{family}, seed {seed}: {runs[family][-1][2]:.4f}", file=sys.stderr, flush=True)
    products = limits.product_rate()
    return {"products of 1024 cubed": products}, list(_rows(runs, seconds, products))


def _rows(
    runs: dict[str, list[tuple[LanguageModel, int, float]]], seconds: float, products: float
) -> Iterator[table.Row]:
    for family, results in runs.items():
        model, losses = results[0][0], [loss for _, _, loss in results]
        tokens = preset(RATE).tokens_per_step * median(steps for _, steps, _ in results)
        yield table.Row(
            f"{seconds:g} s of training",
            family,
            Timing.of([seconds] * len(results)),
            6 * limits.product_parameters(model) * tokens / products,
            median(losses),
            "nats a character",
            note=f"{min(losses):.3f} to {max(losses):.3f}; {model.num_parameters():,} parameters; "
            f"{tokens / seconds:,.0f} tokens/s",
        )


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = options.parser_of("families", TITLE)
    parser.add_argument("--text", type=Path, required=True, help="UTF-8 text, such as tinyshakespeare")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each run (default %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each family (default %(default)s)")
    parser.add_argument("--first-seed", type=int, default=0, help="where they begin (default %(default)s)")
    parser.add_argument("--rate", type=float, default=RATE, help="learning rate (default %(default)s)")
    given = parser.parse_args(arguments)
    options.prepare(given.threads)
    where = machine.describe()
    return options.finish(given, table.result("families", where, *measure(given)), TITLE)


if __name__ == "__main__":
    main()
