"""How the base is tuned on chat data: the kind of adapter, and the training around it."""

from typing import Annotated, Literal

from pydantic import Field

from bhasa.params import Config
from bhasa.training.config import TrainingConfig


class LoraConfig(Config):
    """Low-rank adapters: B A alpha / rank is added to a frozen matrix (Hu et al. 2021)."""

    kind: Literal["lora"]
    rank: Annotated[int, Field(ge=1)]
    """Rows of A and columns of B."""
    alpha: Annotated[float, Field(gt=0)]
    """The product is scaled by alpha / rank."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of an adapter's inputs that is dropped in training."""
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = ("portable",)
    """Names of the projections that get an adapter; each must exist in the model. Or one word for several:
    `portable`, those whose adapter opens in peft on transformers' class too (of a model that transformers has
    no class for, every one); `all`, every one."""


Adapter = LoraConfig
"""What `adapter` may be. A second kind makes this a union that `kind` tells apart."""


class FinetuneConfig(TrainingConfig):
    """The section `finetune` of params.yaml."""

    adapter: Adapter
    epochs: Annotated[float, Field(gt=0)] = 1.0
    """Passes over the chat data."""
    max_steps: Annotated[int, Field(ge=1)] | None = None
    """Stop after this many steps; null trains for `epochs`."""

    def steps(self, sequences: int) -> int:
        """Optimiser steps for `sequences` packed training sequences."""
        return self.max_steps or max(1, round(self.epochs * sequences / self.sequences_per_step))
