"""One of several processes that train one model together: what `test_strategy.py` starts.

`two_processes.py RANK WORLD FOLDER`: takes optimiser steps under DistributedDataParallel, through a strategy
made for this test, then trains a run with a folder, and writes what came out to FOLDER/RANK.safetensors.
"""

import sys
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch.nn.parallel import DistributedDataParallel

from bhasa.hardware import HardwareProfile
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.tokens.loader import IGNORED, Batch
from bhasa.training.config import TrainingConfig
from bhasa.training.fit import fit
from bhasa.training.plan import Plan
from bhasa.training.step import Stepper

ROWS, LENGTH = 7, 16


class Together:
    """Each process has every `world`-th part of the rows; the first ones may have one more."""

    def __init__(self, rank, world):
        self.rank, self.world = rank, world

    def wrap(self, model):
        return DistributedDataParallel(model)

    def rows(self, count):
        size = -(-count // self.world)
        return slice(self.rank * size, min((self.rank + 1) * size, count))

    def sum(self, values):
        values = values.clone()
        dist.all_reduce(values)
        return values

    def agree(self, value):
        found = torch.tensor(value)
        dist.all_reduce(found, op=dist.ReduceOp.MAX)
        return int(found)

    def gather(self, state):
        return dict(state)


class Rows:
    """Random rows, of which each has another number of targets."""

    rows_per_epoch = ROWS

    def batch(self, step, batch_size, rows):
        drawn = [np.random.default_rng([step, row]) for row in range(batch_size)[rows]]
        tokens = np.stack([random.integers(0, 40, LENGTH + 1) for random in drawn])
        targets = tokens[:, 1:].copy()
        for row, random in zip(targets, drawn, strict=True):
            row[: random.integers(0, LENGTH)] = IGNORED
        return Batch(tokens[:, :-1], targets, np.zeros_like(targets))


CONFIG = TrainingConfig(
    context_length=LENGTH, tokens_per_step=ROWS * LENGTH, learning_rate=1e-2, validation_sequences=5
)


def new_model():
    return build(ModelConfig(d_model=16, n_layer=2, vocab_size=40, d_state=4, dropout=0.2), seed=0)


def profile(micro_batch):
    torch.set_num_threads(1)
    return HardwareProfile(device="cpu", precision="fp32", micro_batch=micro_batch)


def steps(strategy, *, micro_batch):
    """Three steps, then a validation: their losses and gradient norms, and the trained weights."""
    model = new_model()
    stepper = Stepper(model, CONFIG, profile(micro_batch), seed=1, strategy=strategy)
    results = [stepper.train_step(Rows(), step, sequences=ROWS, rate=1e-2) for step in range(3)]
    figures = [(result.loss, result.grad_norm, result.tokens) for result in results]
    validation = torch.tensor([stepper.mean_loss(Rows(), 5)])
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
    return {**weights, "figures": torch.tensor(figures), "validation": validation}


def whole_run(strategy, folder, *, micro_batch):
    """The losses in the journal of a run of three steps."""
    plan = Plan("run", CONFIG, steps=3, seed=1, train=Rows(), validation=Rows())
    with fit(new_model(), plan, profile(micro_batch), folder=folder / "runs", strategy=strategy) as events:
        strategy.agree(0)  # before the first leaves and removes the folder
        kinds = ("loss", "validation_loss")
        return {kind: torch.tensor([event[kind] for event in events if kind in event]) for kind in kinds}


def main():
    rank, world, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    together = Together(rank, world)
    found = steps(together, micro_batch=2) | whole_run(together, folder, micro_batch=2)
    save_file(found, folder / f"{rank}.safetensors")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
