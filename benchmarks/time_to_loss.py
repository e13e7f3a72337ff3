"""Seconds from the start of a process to a validation loss, on the characters of a text file.

The project's loader, step and schedule train both programs, each run in a process of its own. The clock
is the parent's: it starts with the process and counts every second, imports and validation included. Both
validate on the same characters, each as often as its preset says.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks import options
from benchmarks.transformer import GPT, GPTConfig
from bhasa.errors import UserError
from bhasa.hardware import HardwareProfile
from bhasa.measure import limits, machine, table
from bhasa.measure.timing import Timing
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.tokens.loader import WindowLoader
from bhasa.training.config import PretrainPreset
from bhasa.training.schedule import learning_rate
from bhasa.training.step import Stepper, mean_loss

TITLE = "Seconds to a validation loss, characters of one text"
PIPELINE = Path(__file__).parents[1] / "pipeline"
TRAINED_SHARE = 0.9

# nanoGPT's setting for a CPU, dropout 0: 2,000 iterations of 12 x 64 characters.
GPT_CONFIG = GPTConfig(d_model=128, n_layer=4, n_head=4, context_length=64)
GPT_PRESET = PretrainPreset(
    context_length=64,
    tokens_per_step=12 * 64,
    tokens=2000 * 12 * 64,
    learning_rate=1e-3,
    min_learning_rate_ratio=0.1,
    warmup_fraction=0.05,
    weight_decay=0.1,
    beta1=0.9,
    beta2=0.99,
    clip_norm=1.0,
    validate_every=250,
    validation_sequences=1024,
)
PROGRAMS = ("bhasa", "transformer")


@dataclass(frozen=True)
class Finish:
    """Where a run stood when it reached the target, or at its end."""

    seconds: float
    """Since the process started."""
    validating: float
    """Of these, spent on validation."""
    step: int
    loss: float


class Characters:
    """A text as the loader's split of tokens; 0 starts a document and comes nowhere in it."""

    def __init__(self, name: str, ids: np.ndarray) -> None:
        self.name, self.ids, self.tokens = name, ids, len(ids)

    def windows(self, starts: np.ndarray, length: int) -> np.ndarray:
        return self.ids[(starts[:, None] + np.arange(length)) % len(self.ids)]


def splits(text: str) -> tuple[Characters, Characters, int]:
    """The first nine tenths to train on, the rest to validate on, and the size of the vocabulary."""
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    known = np.zeros(points.max() + 1, np.int64)
    known[points] = 1
    vocab_size = int(known.sum()) + 1
    ids = np.cumsum(known)[points]
    cut = int(TRAINED_SHARE * len(ids))
    return Characters("train", ids[:cut]), Characters("validation", ids[cut:]), vocab_size


def recipe(program: str, name: str, vocab_size: int, seed: int) -> tuple[nn.Module, PretrainPreset]:
    """A new model and how it is trained; `name` is a preset of the model and one of the training."""
    if program == "transformer":
        torch.manual_seed(seed)
        return GPT(GPT_CONFIG.model_copy(update={"vocab_size": vocab_size})), GPT_PRESET
    config = ModelConfig.load(PIPELINE / "model" / f"{name}.yaml")
    model = build(config.model_copy(update={"vocab_size": vocab_size}), seed=seed)
    return model, PretrainPreset.load(PIPELINE / "training" / f"{name}.yaml")


def train(given: argparse.Namespace) -> None:
    """One run: a JSON line a validation on standard output, until the target or the end."""
    train_split, validation_split, vocab_size = splits(given.text.read_text(encoding="utf-8"))
    model, preset = recipe(given.run, given.recipe, vocab_size, given.seed)
    options.prepare(given.threads)
    hardware = HardwareProfile(device="cpu", precision="fp32", micro_batch=preset.sequences_per_step)
    stepper = Stepper(model, preset, hardware, seed=given.seed)
    batches = WindowLoader(train_split, preset.context_length, seed=given.seed)
    validation = WindowLoader(validation_split, preset.context_length, seed=None)
    sequences = min(preset.validation_sequences, validation.rows_per_epoch)
    steps = 4 if given.quick else preset.tokens // preset.tokens_per_step
    validating, loss = 0.0, float("inf")
    for step in range(steps):
        rate = learning_rate(step, steps=steps, config=preset)
        stepper.train_step(batches, step, sequences=preset.sequences_per_step, rate=rate)
        if (step + 1) % preset.validate_every == 0 or step + 1 == steps:
            started = time.perf_counter()
            loss = mean_loss(model, validation, sequences, hardware)
            validating += time.perf_counter() - started
            print(json.dumps({"validating": validating, "step": step + 1, "loss": loss}), flush=True)
        if loss <= given.target:
            return


def watch(given: argparse.Namespace, program: str, seed: int) -> Finish:
    """Start a run and hold the clock; every validation is shown as it comes."""
    command = [sys.executable, "-m", "benchmarks.time_to_loss", "--run", program, "--seed", str(seed)]
    command += ["--text", str(given.text.resolve()), "--recipe", given.recipe, "--target", str(given.target)]
    command += ["--quick"] * given.quick + (["--threads", str(given.threads)] if given.threads else [])
    started, last = time.perf_counter(), None
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as child:
        for line in child.stdout or ():
            event = json.loads(line)
            last = Finish(time.perf_counter() - started, **event)
            print(f"{program}, seed {seed}: {last.loss:.4f} after {last.seconds:.1f} s", file=sys.stderr)
    if child.returncode or last is None:
        raise UserError(f"{' '.join(command)} failed with exit code {child.returncode}")
    return last


def measure(given: argparse.Namespace) -> tuple[dict[str, float], list[table.Row]]:
    """The programs take turns, seed by seed."""
    finishes: dict[str, list[Finish]] = {program: [] for program in PROGRAMS[: 1 if given.alone else 2]}
    for seed in range(given.seeds):
        for program in finishes:
            finishes[program].append(watch(given, program, seed))
    rates = {"products of 1024 cubed": limits.product_rate()}
    return rates, list(_rows(given, finishes, rates["products of 1024 cubed"]))


def _rows(given: argparse.Namespace, finishes: dict[str, list[Finish]], rate: float) -> Iterator[table.Row]:
    vocab_size = splits(given.text.read_text(encoding="utf-8"))[2]
    for program, runs in finishes.items():
        model, preset = recipe(program, given.recipe, vocab_size, seed=0)
        tokens = preset.tokens_per_step * median(run.step for run in runs)
        reached = sum(run.loss <= given.target for run in runs)
        yield table.Row(
            f"to {given.target}",
            program,
            Timing.of([run.seconds for run in runs]),
            6 * limits.product_parameters(model) * tokens / rate,
            tokens,
            "tokens",
            note=f"{reached} of {len(runs)} reached it; median loss {median(run.loss for run in runs):.3f}; "
            f"{median(run.validating for run in runs):.1f} s of it on validation",
        )


def main(arguments: Sequence[str] | None = None) -> dict[str, Any] | None:
    parser = options.parser_of("time_to_loss", TITLE)
    parser.add_argument("--text", type=Path, required=True, help="UTF-8 text, such as tinyshakespeare")
    parser.add_argument("--target", type=float, default=1.88, help="nats per character (default %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each program (default %(default)s)")
    parser.add_argument("--recipe", default="shakespeare", help="preset of model and training")
    parser.add_argument("--alone", action="store_true", help="without the transformer beside it")
    parser.add_argument("--run", choices=PROGRAMS, help="train one program here and print its validations")
    parser.add_argument("--seed", type=int, default=0, help="of that run")
    given = parser.parse_args(arguments)
    if given.run:
        return train(given)
    where = machine.describe()
    name = f"time_to_loss_{given.recipe}"
    return options.finish(given, table.result(name, where, *measure(given)), TITLE)


if __name__ == "__main__":
    main()
