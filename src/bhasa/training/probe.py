"""How long a step and a validation take on this machine, tried before the run: nothing of it remains."""

import time
from collections.abc import Callable
from typing import NamedTuple

import torch

from bhasa.training.plan import Plan
from bhasa.training.step import Stepper

LONG = 2.0  # seconds, after which nothing is tried a second time to have it warm


class Seconds(NamedTuple):
    step: float
    validation: float


def measure(stepper: Stepper, plan: Plan) -> Seconds:
    """Time one micro-batch forward and backward, one update and one micro-batch of validation.

    The optimiser must be new: its state is zero again afterwards. The update is of zero gradients at rate 0,
    so the weights stay as they are.
    """
    sequences = plan.config.sequences_per_step
    rows = min(stepper.hardware.micro_batch, sequences)
    part = plan.train.batch(0, sequences, slice(0, rows))

    def learn() -> None:
        stepper.optimizer.zero_grad()
        stepper.loss_sum(part).backward()

    def update() -> None:
        torch.nn.utils.clip_grad_norm_(stepper.optimizer.parameters, stepper.clip_norm)
        stepper.optimizer.step(0.0)

    @torch.no_grad()
    def validate() -> None:
        stepper.loss_sum(part)

    stepper.model.train()
    learning = _seconds(learn)
    for parameter in stepper.optimizer.parameters:
        if parameter.grad is not None:
            parameter.grad.zero_()
    updating = _seconds(update)
    stepper.optimizer.zero_grad()
    for value in stepper.optimizer.state().values():
        value.zero_()
    stepper.model.eval()
    validating = _seconds(validate)
    validated = min(plan.config.validation_sequences, plan.validation.rows_per_epoch)
    return Seconds(learning * sequences / rows + updating, validating * validated / rows)


def _seconds(job: Callable[[], None]) -> float:
    best = float("inf")
    for _ in range(2):
        started = time.perf_counter()
        job()
        if torch.cuda.is_available():  # it works on its own: wait for it
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - started)
        if best > LONG:
            break
    return best
