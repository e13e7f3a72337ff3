"""The loop: decides when to validate, save, report and stop. What one step does is in `step.py`."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from bhasa import progress
from bhasa.errors import Stopped
from bhasa.signals import stop_requests
from bhasa.training.estimate import announce
from bhasa.training.plan import Plan
from bhasa.training.run_folder import RunFolder
from bhasa.training.schedule import learning_rate
from bhasa.training.step import Stepper

Event = dict[str, Any]
Follow = Callable[[Path], AbstractContextManager[object]]


def train(stepper: Stepper, plan: Plan, folder: RunFolder, follow: Follow = nullcontext) -> list[Event]:
    """Train from the newest checkpoint, or from the start, to the last step; returns the journal's events.

    `follow` gives a context around the training for whoever reads the journal, whose path it gets, meanwhile.
    Raises `Stopped` after saving when a signal asks for it.
    """
    tokens = plan.config.tokens_per_step
    found = folder.newest()
    done = found.step if found else 0
    if done < plan.steps:
        announce(stepper, plan, done)  # while the optimiser is new
    folder.resume(found, stepper)
    with (
        follow(folder.journal.path),
        stop_requests() as stop_signal,
        progress.progress(plan.name, plan.steps * tokens, "tokens", done=done * tokens) as bar,
    ):
        if done == 0:
            _validate(stepper, plan, folder, done)
        while done < plan.steps:
            loss = _advance(stepper, plan, folder, done)
            done += 1
            bar.advance(tokens, f"loss {loss:.3f}")
            if plan.validates(done):
                _validate(stepper, plan, folder, done)
            signum = stepper.strategy.agree(stop_signal() or 0)
            if signum or done == plan.steps or done % plan.config.checkpoint_every == 0:
                folder.save(stepper, done)
            if signum:
                raise Stopped(
                    signum, f"step {done} of {plan.steps} is saved; the same command goes on from there"
                )
    stepper.strategy.agree(0)  # the others read when the first has written
    return folder.journal.read()


def _advance(stepper: Stepper, plan: Plan, folder: RunFolder, step: int) -> float:
    started = time.perf_counter()
    rate = learning_rate(step, steps=plan.steps, config=plan.config)
    result = stepper.train_step(plan.train, step, sequences=plan.config.sequences_per_step, rate=rate)
    folder.record(
        step + 1,
        loss=result.loss,
        learning_rate=rate,
        grad_norm=result.grad_norm,
        tokens_per_second=result.tokens / (time.perf_counter() - started),
    )
    return result.loss


def _validate(stepper: Stepper, plan: Plan, folder: RunFolder, done: int) -> None:
    loss = stepper.mean_loss(plan.validation, plan.config.validation_sequences)
    folder.record(done, validation_loss=loss)
