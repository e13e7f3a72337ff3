"""What to learn and how fast: optimiser, schedule, batch in tokens, token budget."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bhasa.params import Config

Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class TrainingConfig(Config):
    """Shared by pretraining and fine-tuning."""

    context_length: Annotated[int, Field(ge=8)]
    """Tokens of one training sequence."""
    tokens_per_step: Annotated[int, Field(ge=8)]
    """Tokens of one optimiser step, whatever the hardware's micro-batch."""
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    """Peak of the schedule."""
    min_learning_rate_ratio: Fraction = 0.1
    """Where the cosine ends, as a share of the peak."""
    warmup_fraction: Fraction = 0.05
    """Share of the steps in which the rate rises from zero."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """What updates the matrices inside the layers; all else is AdamW's."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.95
    """Muon's decay of the mean gradient."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Decoupled decay of matrices; A_log, D, biases and norms have none."""
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """AdamW's decay of the first moment."""
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.95
    """AdamW's decay of the second moment."""
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    """Largest norm of the whole gradient."""
    validate_every: Positive = 100
    """Steps between validations; there is always one before the first step and one after the last."""
    validation_sequences: Positive = 32
    """Sequences of one validation; a split that has fewer is read once."""
    checkpoint_every: Positive = 100
    """Steps between checkpoints."""

    @property
    def sequences_per_step(self) -> int:
        return self.tokens_per_step // self.context_length

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.tokens_per_step % self.context_length:
            raise ValueError(
                f"tokens_per_step ({self.tokens_per_step}) must be a multiple of "
                f"context_length ({self.context_length})"
            )
        return self


class PretrainPreset(TrainingConfig):
    """One file of `pipeline/training/`."""

    tokens: Positive
    """Token budget of the run; the number of steps follows from it."""
    rows: Literal["packed", "documents", "streams"] = "packed"
    """Documents end to end, cut into rows; one document a row, cut and filled up; or contiguous text, which a
    row of the batch goes on with from step to step."""


class PretrainConfig(Config):
    """The section `pretrain` of params.yaml: what an experiment changes without a preset of its own."""

    init_from: Annotated[str, Field(min_length=1)] | None = None
    """Folder of a model to start from, with its architecture and its tokenizer; null: a new model."""
    max_steps: Annotated[int, Field(ge=0)] | None = None
    """Stop after this many steps; null trains for the preset's token budget; 0 takes `init_from` over."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    """Replaces the preset's peak learning rate; null keeps it."""

    def steps(self, preset: PretrainPreset) -> int:
        if self.max_steps is not None:
            return self.max_steps
        return max(1, preset.tokens // preset.tokens_per_step)

    def applied_to(self, preset: PretrainPreset) -> PretrainPreset:
        rate = self.learning_rate
        return preset if rate is None else preset.model_copy(update={"learning_rate": rate})

    @model_validator(mode="after")
    def _something_to_learn_or_to_take(self) -> Self:
        if self.max_steps == 0 and self.init_from is None:
            raise ValueError(
                "max_steps is 0 and init_from null, which would give a model that knows nothing; name a "
                "folder in init_from, or train for 1 step or more"
            )
        return self
