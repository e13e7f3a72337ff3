"""The learning rate as a pure function of the step: linear warm-up, then a cosine to a floor."""

import math

from bhasa.training.config import TrainingConfig


def learning_rate(step: int, *, steps: int, config: TrainingConfig) -> float:
    """The rate of optimiser step `step`, counted from 0, in a run of `steps`."""
    warmup = round(config.warmup_fraction * steps)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    floor = config.learning_rate * config.min_learning_rate_ratio
    progress = (step - warmup) / max(1, steps - 1 - warmup)
    return floor + (config.learning_rate - floor) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
