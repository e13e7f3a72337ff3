"""What is learnt: a number for each batch that training makes smaller."""

from typing import Protocol

import torch
from torch import Tensor, nn

from bhasa.tokens.loader import IGNORED, Batch


class Objective(Protocol):
    """A loss that is a weighted mean: the sum over some rows, and the weight by which the sums are divided.

    A step's rows are computed in parts, and the divisor of the whole step is needed before the first of them,
    so the weight comes from the rows alone.
    """

    def weight(self, batch: Batch) -> int:
        """What the rows count for in the mean."""

    def loss_sum(self, model: nn.Module, batch: Batch, device: torch.device) -> Tensor:
        """The summed loss of the rows, by `model`'s forward, differentiable."""


class NextToken:
    """Cross-entropy of each next token, in nats; the weight is the number of targets."""

    def weight(self, batch: Batch) -> int:
        return int((batch.targets != IGNORED).sum())

    def loss_sum(self, model: nn.Module, batch: Batch, device: torch.device) -> Tensor:
        inputs, targets, segment_ids = (torch.from_numpy(array).to(device) for array in batch)  # (b, l) each
        loss: Tensor = model(inputs, targets=targets, segment_ids=segment_ids)
        return loss
