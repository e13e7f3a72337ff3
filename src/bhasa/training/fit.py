"""Fit a model from whatever state the run is in: shared by the stages that train."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

from bhasa.hardware import HardwareProfile, machine
from bhasa.model.language_model import LanguageModel
from bhasa.training import checkpoint
from bhasa.training.config import TrainingConfig
from bhasa.training.estimate import announce
from bhasa.training.loop import Event, Follow, Run, train
from bhasa.training.step import Batches, Stepper


@contextmanager
def fit(
    name: str,
    model: LanguageModel,
    config: TrainingConfig,
    *,
    steps: int,
    seed: int,
    hardware: HardwareProfile,
    train_batches: Batches,
    validation_batches: Batches,
    facts: Mapping[str, Any],
    follow: Follow = nullcontext,
) -> Iterator[list[Event]]:
    """Train `model` in place; yields the journal's events to a block that writes what the run was for.

    The run's checkpoints are removed only when that block succeeds: a kill or a full disk while the model
    is written costs no training. `facts` are what besides the arguments decides the result, such as hashes
    of the data: with them the run finds its own checkpoints, and no others, when it is started again.
    The caller has prepared `hardware`, whose threads are part of that too.
    """
    model.to(hardware.torch_device)
    model.backbone.activation_checkpointing = hardware.activation_checkpointing
    stepper = Stepper(model, config, hardware, seed=seed)
    identity = {
        "model": model.config.as_mapping(),
        "config": config.as_mapping(),
        "hardware": hardware.as_mapping(),
        "machine": machine(),
        "kernels": hardware.kernels(),
        "steps": steps,
        "seed": seed,
        **facts,
    }
    with checkpoint.run_folder(name, checkpoint.fingerprint(identity)) as folder:
        checkpoint.require_space(folder, model)
        run = Run(name, config, steps, train_batches, validation_batches, folder, follow)
        if steps:
            announce(stepper, run)
        events = train(stepper, run)
        model.backbone.activation_checkpointing = False
        yield events


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
