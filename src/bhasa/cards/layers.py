"""A model's layers in order as one line of words."""

from itertools import groupby

from bhasa.model.config import ModelConfig
from bhasa.model.mixers import MIXERS


def describe_layers(config: ModelConfig) -> str:
    """Such as `(4 Mamba-2 -> attention -> 3 Mamba-2) x 3`: one period, and how often it comes."""
    layers, total = config.layers, config.n_layer
    period = next(n for n in range(1, total + 1) if layers == layers[:n] * (total // n))
    runs = [(name, len(list(run))) for name, run in groupby(layers[:period])]
    after = " + MLP" if config.mlp_after_mixer else ""
    words = [f"{count if count > 1 else ''} {MIXERS[name].title}{after}".strip() for name, count in runs]
    times = total // period
    if period == 1:
        return f"{times} {words[0]}"
    return f"({' -> '.join(words)}) x {times}" if times > 1 else " -> ".join(words)
