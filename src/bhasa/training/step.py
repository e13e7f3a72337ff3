"""One optimiser step, and one validation: what a batch does to the weights, and how good they are."""

import math
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor

from bhasa.errors import BhasaError
from bhasa.hardware import HardwareProfile
from bhasa.model.language_model import LanguageModel
from bhasa.randomness import derive
from bhasa.tokens.loader import IGNORED, Batch
from bhasa.training.optimizer import Optimizer


class Batches(Protocol):
    """Where training rows come from: row r of step s is a function of (s, r) alone."""

    rows_per_epoch: int
    """Rows there are; over the steps each comes once before any comes again."""

    def batch(self, step: int, batch_size: int, rows: slice) -> Batch: ...


@dataclass(frozen=True)
class StepResult:
    loss: float
    """Mean cross-entropy of the step's target tokens, in nats."""
    grad_norm: float
    """Norm of the whole gradient before clipping."""
    tokens: int
    """Tokens read, padding included."""


def loss_sum(model: LanguageModel, part: Batch, hardware: HardwareProfile) -> Tensor:
    """Cross-entropy summed over the target tokens of some rows, in nats."""
    device, dtype = hardware.torch_device, hardware.torch_dtype()
    arrays = (part.inputs, part.targets, part.segment_ids)  # (b, l) each
    inputs, targets, segment_ids = (torch.from_numpy(array).to(device) for array in arrays)
    with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
        return model.loss(inputs, targets, segment_ids=segment_ids, ignore_index=IGNORED)


@torch.no_grad()
def mean_loss(model: LanguageModel, batches: Batches, sequences: int, hardware: HardwareProfile) -> float:
    """Mean cross-entropy per target token over the first `sequences` rows, or all there are, in nats."""
    model.eval()
    sequences = min(sequences, batches.rows_per_epoch)
    total, targets, size = 0.0, 0, hardware.micro_batch
    for start in range(0, sequences, size):
        part = batches.batch(0, sequences, slice(start, min(start + size, sequences)))
        total += float(loss_sum(model, part, hardware))
        targets += int((part.targets != IGNORED).sum())
    return total / max(1, targets)


class Stepper:
    """Does optimiser steps for one model on one device; keeps nothing between steps but fp16's loss scale."""

    def __init__(
        self,
        model: LanguageModel,
        optimizer: Optimizer,
        hardware: HardwareProfile,
        *,
        clip_norm: float,
        seed: int,
    ) -> None:
        self.model, self.optimizer, self.hardware = model, optimizer, hardware
        self.clip_norm, self.seed = clip_norm, seed
        self.device = hardware.torch_device
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=hardware.torch_dtype() == torch.float16)

    def train_step(self, batches: Batches, step: int, *, sequences: int, rate: float) -> StepResult:
        """Forward and backward in micro-batches, clip, update. Nothing non-finite ever updates."""
        self.model.train()
        size = self.hardware.micro_batch
        parts = [
            batches.batch(step, sequences, slice(i, min(i + size, sequences)))
            for i in range(0, sequences, size)
        ]
        targets = sum(int((part.targets != IGNORED).sum()) for part in parts)
        total = torch.zeros((), device=self.device)
        for micro_step, part in enumerate(parts):
            torch.manual_seed(derive(self.seed, "dropout", step, micro_step))
            loss = loss_sum(self.model, part, self.hardware) / targets
            self.scaler.scale(loss).backward()
            total += loss.detach()
        scaled = cast(torch.optim.Optimizer, self.optimizer)  # no more than this is asked of it
        self.scaler.unscale_(scaled)
        norm = float(torch.nn.utils.clip_grad_norm_(self.optimizer.parameters, self.clip_norm))
        self._refuse_non_finite(step, float(total), norm)
        self.scaler.step(scaled, rate)
        self.scaler.update()
        self._refuse_exhausted_scale(step)
        self.optimizer.zero_grad()
        return StepResult(float(total), norm, sum(part.inputs.size for part in parts))

    def _refuse_non_finite(self, step: int, loss: float, norm: float) -> None:
        # With fp16 the gradient of a finite loss may overflow: the scaler skips that step and backs off.
        overflow_is_expected = self.scaler.is_enabled() and math.isfinite(loss)
        if not (math.isfinite(loss) and math.isfinite(norm)) and not overflow_is_expected:
            raise BhasaError(
                f"step {step}: loss {loss}, gradient norm {norm}: not finite, so the weights were left as "
                "they were; lower this stage's learning_rate and run again"
            )

    def _refuse_exhausted_scale(self, step: int) -> None:
        # Halved at each overflow. Below 1 it would shrink gradients, so they overflow for another reason.
        if self.scaler.get_scale() < 1:
            raise BhasaError(
                f"step {step}: the gradient is not finite at any fp16 loss scale down to 1, so the weights "
                "were left as they were; lower this stage's learning_rate, or choose a hardware.profile "
                "whose precision is bf16 or fp32, and run again"
            )
