"""How the base is tuned on chat data: the adapter's shape, and the training around it."""

from typing import Annotated

from pydantic import Field

from bhasa.training.config import TrainingConfig


class FinetuneConfig(TrainingConfig):
    """The section `finetune` of params.yaml."""

    rank: Annotated[int, Field(ge=1)]
    """Rank of the update of each adapted matrix."""
    alpha: Annotated[float, Field(gt=0)]
    """The update is scaled by alpha / rank."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of an adapter's inputs that is dropped in training."""
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = ("all",)
    """Names of the projections that get an adapter; each must exist in the model. all: every one it has."""
    epochs: Annotated[float, Field(gt=0)] = 1.0
    """Passes over the chat data."""
    max_steps: Annotated[int, Field(ge=1)] | None = None
    """Stop after this many steps; null trains for `epochs`."""

    def steps(self, sequences: int) -> int:
        """Optimiser steps for `sequences` packed training sequences."""
        return self.max_steps or max(1, round(self.epochs * sequences / self.sequences_per_step))
