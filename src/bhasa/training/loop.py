"""The loop: decides when to validate, save, report and stop. What one step does is in `step.py`."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bhasa import progress
from bhasa.errors import Stopped
from bhasa.journal import Journal
from bhasa.training import checkpoint
from bhasa.training.config import TrainingConfig
from bhasa.training.schedule import learning_rate
from bhasa.training.signals import stop_requests
from bhasa.training.step import Batches, Stepper

Event = dict[str, Any]
Follow = Callable[[Path], AbstractContextManager[object]]


@dataclass(frozen=True)
class Run:
    """One training run: its data, its length, where it keeps its state and who follows."""

    name: str
    config: TrainingConfig
    steps: int
    train: Batches
    validation: Batches
    folder: Path
    """Locked folder for checkpoints and the journal."""
    follow: Follow = nullcontext
    """Gives a context around the training for whoever reads the journal meanwhile, such as tracking."""

    @property
    def journal(self) -> Journal:
        return Journal(self.folder / "journal.jsonl")

    def record(self, step: int, **values: float) -> None:
        self.journal.append({"step": step, **values})


def train(stepper: Stepper, run: Run) -> list[Event]:
    """Train from the newest checkpoint, or from the start, to the last step; returns the journal's events.

    Raises `Stopped` after saving when a signal asks for it.
    """
    tokens = run.config.tokens_per_step
    done = _resume(stepper, run)
    with (
        run.follow(run.journal.path),
        stop_requests() as stop_signal,
        progress.progress(run.name, run.steps * tokens, "tokens", done=done * tokens) as bar,
    ):
        if done == 0:
            _validate(stepper, run, done)
        while done < run.steps:
            loss = _advance(stepper, run, done)
            done += 1
            bar.advance(tokens, f"loss {loss:.3f}")
            if done == run.steps or done % run.config.validate_every == 0:
                _validate(stepper, run, done)
            signum = stop_signal() if done < run.steps else None
            if signum or done == run.steps or done % run.config.checkpoint_every == 0:
                _save(stepper, run, done)
            if signum:
                raise Stopped(
                    signum, f"step {done} of {run.steps} is saved; the same command goes on from there"
                )
    return run.journal.read()


def _resume(stepper: Stepper, run: Run) -> int:
    """Restore the newest checkpoint and forget what the journal says of later steps; the steps done."""
    done = checkpoint.restore(run.folder, stepper.model, stepper.optimizer, stepper.scaler)
    run.journal.truncate([event for event in run.journal.read() if done and event["step"] <= done])
    return done


def _advance(stepper: Stepper, run: Run, step: int) -> float:
    started = time.perf_counter()
    rate = learning_rate(step, steps=run.steps, config=run.config)
    result = stepper.train_step(run.train, step, sequences=run.config.sequences_per_step, rate=rate)
    run.record(
        step + 1,
        loss=result.loss,
        learning_rate=rate,
        grad_norm=result.grad_norm,
        tokens_per_second=result.tokens / (time.perf_counter() - started),
    )
    return result.loss


def _validate(stepper: Stepper, run: Run, done: int) -> None:
    loss = stepper.mean_loss(run.validation, run.config.validation_sequences)
    run.record(done, validation_loss=loss)


def _save(stepper: Stepper, run: Run, done: int) -> None:
    run.journal.sync()
    checkpoint.save(run.folder, done, stepper.model, stepper.optimizer, stepper.scaler)
