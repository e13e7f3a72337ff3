"""What a training run computes, apart from where and how."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bhasa.model.config import ModelConfig
from bhasa.training.config import TrainingConfig
from bhasa.training.step import Batches


@dataclass(frozen=True)
class Plan:
    """From which rows a model learns, how, and how long."""

    name: str
    """What messages call the run."""
    config: TrainingConfig
    steps: int
    seed: int
    train: Batches
    validation: Batches
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Hashes of what is read: of the rows, and of the weights if they are not new."""

    def validates(self, done: int) -> bool:
        """Whether the validation loss is measured after so many steps."""
        return done in (0, self.steps) or done % self.config.validate_every == 0

    def validations_left(self, done: int) -> int:
        """How many of these are still to come after `done` steps; `done` is less than `steps`."""
        every = self.config.validate_every
        return (done == 0) + (self.steps - 1) // every - done // every + 1

    def identity(self, model: ModelConfig) -> dict[str, Any]:
        """All that decides what is learnt, to the rounding of its numbers."""
        return {
            "model": model.as_mapping(),
            "config": self.config.as_mapping(),
            "steps": self.steps,
            "seed": self.seed,
            "inputs": dict(self.inputs),
        }
