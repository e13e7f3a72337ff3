"""One optimiser step, and one validation: what a batch does to the weights, and how good they are."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from bhasa.errors import BhasaError
from bhasa.hardware import HardwareProfile
from bhasa.model.language_model import LanguageModel
from bhasa.tokens.loader import Batch
from bhasa.training.config import TrainingConfig
from bhasa.training.dropout import drop_by_row, keyed
from bhasa.training.objective import NextToken, Objective
from bhasa.training.optimizer import build_optimizer
from bhasa.training.strategy import SingleProcess, Strategy

NEXT_TOKEN = NextToken()
SINGLE_PROCESS = SingleProcess()


class Batches(Protocol):
    """Where training rows come from: row r of step s is a function of (s, r) alone."""

    rows_per_epoch: int
    """Rows there are; over the steps each comes once before any comes again."""

    def batch(self, step: int, batch_size: int, rows: slice) -> Batch: ...


@dataclass(frozen=True)
class StepResult:
    loss: float
    """Mean over the step's rows; of the next token's cross-entropy, in nats."""
    grad_norm: float
    """Norm of the whole gradient before clipping."""
    tokens: int
    """Tokens read, padding included."""


@torch.no_grad()
def mean_loss(
    model: nn.Module,
    batches: Batches,
    sequences: int,
    hardware: HardwareProfile,
    *,
    objective: Objective = NEXT_TOKEN,
    strategy: Strategy = SINGLE_PROCESS,
) -> float:
    """Mean loss over the first `sequences` rows, or all there are; of the next token in nats, by default."""
    model.eval()
    sequences = min(sequences, batches.rows_per_epoch)
    total, weight = 0.0, 0
    for part in parts(batches, 0, sequences, hardware.micro_batch, strategy.rows(sequences)):
        with hardware.autocast():
            total += float(objective.loss_sum(model, part, hardware.torch_device))
        weight += objective.weight(part)
    sums = strategy.sum(torch.tensor([total, weight], dtype=torch.float64))
    return float(sums[0]) / max(1.0, float(sums[1]))


def parts(batches: Batches, step: int, sequences: int, micro_batch: int, own: slice) -> Iterator[Batch]:
    """The rows `own` of a step's `sequences`, at most `micro_batch` at a time."""
    for start in range(own.start, own.stop, micro_batch):
        yield batches.batch(step, sequences, slice(start, min(start + micro_batch, own.stop)))


class Stepper:
    """Does optimiser steps for one model on one device; keeps nothing between steps but fp16's loss scale."""

    def __init__(
        self,
        model: LanguageModel,
        config: TrainingConfig,
        hardware: HardwareProfile,
        *,
        seed: int,
        objective: Objective = NEXT_TOKEN,
        strategy: Strategy = SINGLE_PROCESS,
    ) -> None:
        self.model, self.hardware, self.seed = model, hardware, seed
        self.objective, self.strategy = objective, strategy
        self.clip_norm = config.clip_norm
        self.dropouts = drop_by_row(model)
        self.module = strategy.wrap(model)
        """What is called to compute `model`'s loss."""
        self.optimizer = build_optimizer(model.named_parameters(), config)
        self.device = hardware.torch_device
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=hardware.torch_dtype() == torch.float16)

    def train_step(self, batches: Batches, step: int, *, sequences: int, rate: float) -> StepResult:
        """Forward and backward in micro-batches, clip, update. Nothing non-finite ever updates."""
        self.model.train()
        own = self.strategy.rows(sequences)
        mine = list(parts(batches, step, sequences, self.hardware.micro_batch, own))
        weight = int(self.strategy.sum(torch.tensor(sum(map(self.objective.weight, mine)))))
        total = torch.zeros((), device=self.device)
        first = own.start
        for part in mine:
            rows = range(first, first := first + len(part.inputs))
            with keyed(self.dropouts, self.seed, step, rows, self.device):
                # The gradients are averaged over the processes, where they are to be added.
                loss = self.loss_sum(part) / (weight / self.strategy.world)
                self.scaler.scale(loss).backward()
            total += loss.detach()
        total = self.strategy.sum(total) / self.strategy.world
        scaled = cast(torch.optim.Optimizer, self.optimizer)  # no more than this is asked of it
        self.scaler.unscale_(scaled)
        norm = float(torch.nn.utils.clip_grad_norm_(self.optimizer.parameters, self.clip_norm))
        self._refuse_non_finite(step, float(total), norm)
        self.scaler.step(scaled, rate)
        self.scaler.update()
        self._refuse_exhausted_scale(step)
        self.optimizer.zero_grad()
        return StepResult(float(total), norm, sequences * mine[0].inputs.shape[1])

    def loss_sum(self, part: Batch) -> Tensor:
        """The objective's sum over some rows, computed in the hardware's precision."""
        with self.hardware.autocast():
            return self.objective.loss_sum(self.module, part, self.device)

    def mean_loss(self, batches: Batches, sequences: int) -> float:
        """The objective's mean over the first rows, as `mean_loss` gives it."""
        return mean_loss(
            self.module,
            batches,
            sequences,
            self.hardware,
            objective=self.objective,
            strategy=self.strategy,
        )

    def _refuse_non_finite(self, step: int, loss: float, norm: float) -> None:
        # With fp16 the gradient of a finite loss may overflow: the scaler skips that step and backs off.
        overflow_is_expected = self.scaler.is_enabled() and math.isfinite(loss)
        if not (math.isfinite(loss) and math.isfinite(norm)) and not overflow_is_expected:
            raise BhasaError(
                f"step {step}: loss {loss}, gradient norm {norm}: not finite, so the weights were left as "
                "they were; lower the learning rate and run again"
            )

    def _refuse_exhausted_scale(self, step: int) -> None:
        # Halved at each overflow. Below 1 it would shrink gradients, so they overflow for another reason.
        if self.scaler.get_scale() < 1:
            raise BhasaError(
                f"step {step}: the gradient is not finite at any fp16 loss scale down to 1, so the weights "
                "were left as they were; lower the learning rate, or choose a hardware profile "
                "whose precision is bf16 or fp32, and run again"
            )
