"""Fit a model from whatever state its run is in: shared by the stages that train."""

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from bhasa.errors import BhasaError
from bhasa.hardware import HardwareProfile, machine
from bhasa.model.language_model import LanguageModel
from bhasa.training import checkpoint
from bhasa.training.loop import Event, Follow, train
from bhasa.training.plan import Plan
from bhasa.training.run_folder import RunFolder, fingerprint
from bhasa.training.step import SINGLE_PROCESS, Stepper
from bhasa.training.strategy import Strategy
from bhasa.unfinished import locked

TRIAL_STEPS = 10  # fewer show nothing of a learning rate
WORSE = 1.01  # by less, a loss may rise without reason


@contextmanager
def fit(
    model: LanguageModel,
    plan: Plan,
    hardware: HardwareProfile,
    *,
    folder: Path,
    follow: Follow = nullcontext,
    strategy: Strategy = SINGLE_PROCESS,
) -> Iterator[list[Event]]:
    """Train `model` in place; yields the journal's events to a block that writes what the run was for.

    Below `folder`, the run keeps its state where it finds it when it is started again. That is removed only
    when the block succeeds: a kill or a full disk while the model is written costs no training. The caller
    has prepared `hardware`, whose threads are part of the circumstance.
    """
    model.to(hardware.torch_device)
    model.backbone.activation_checkpointing = hardware.activation_checkpointing
    stepper = Stepper(model, plan.config, hardware, seed=plan.seed, strategy=strategy)
    circumstance = {
        "hardware": hardware.as_mapping(),
        "machine": machine(),
        "kernels": hardware.kernels(model),
        "processes": strategy.world,
    }
    run, writes = folder / fingerprint(plan.identity(model.config)), strategy.rank == 0
    with locked(run) if writes else nullcontext():
        strategy.agree(0)  # the others wait until the first holds the lock
        state = RunFolder(plan.name, run / fingerprint(circumstance), circumstance, writes)
        checkpoint.require_space(state.path, model)
        events = train(stepper, plan, state, follow)
        model.backbone.activation_checkpointing = False
        _require_learning(plan, model.config.vocab_size, summary(events))
        yield events


def _require_learning(plan: Plan, vocab_size: int, figures: dict[str, float]) -> None:
    """Refuse a run that diverged; say so if one is merely no better on the validation data than before.

    Diverged is what ends no better than guessing on the validation data, or worse than it began there and on
    what it learns from. The rest may be meant: a good model is tuned on little data, and overfits.
    """
    before, after = figures["initial_validation_loss"], figures["validation_loss"]
    if figures["steps"] < TRIAL_STEPS or after < before:
        return
    found = (
        f"{plan.name}: the validation loss was {before:.4f} before training and is {after:.4f} after it, "
        f"the training loss {figures['train_loss']:.4f}"
    )
    worse = after > WORSE * before and figures["train_loss"] >= before
    if worse or not after < math.log(vocab_size):
        raise BhasaError(f"{found}: nothing was learnt; lower the learning rate and run again")
    print(f"{found}: the model got no better", file=sys.stderr, flush=True)


def summary(events: list[Event]) -> dict[str, float]:
    """The figures of a finished run that do not depend on the machine's speed."""
    training = [event for event in events if "loss" in event]
    validation = [event["validation_loss"] for event in events if "validation_loss" in event]
    last = [event["loss"] for event in training[-10:]]
    return {
        "steps": len(training),
        **({"train_loss": math.fsum(last) / len(last)} if last else {}),
        "initial_validation_loss": validation[0],
        "validation_loss": validation[-1],
    }
