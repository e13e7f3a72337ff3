"""AdamW and the one decision about weight decay."""

from collections.abc import Iterable

import torch
from torch import nn

from bhasa.training.config import TrainingConfig


def decays(name: str, parameter: nn.Parameter) -> bool:
    """Whether a parameter is decayed: matrices are; biases, norms, D and A_log (2-D too) are not."""
    return parameter.ndim >= 2 and name.rpartition(".")[2] != "A_log"


def build_optimizer(
    named_parameters: Iterable[tuple[str, nn.Parameter]], config: TrainingConfig
) -> torch.optim.AdamW:
    """AdamW over what requires a gradient, in two groups; the learning rate is set before each step."""
    trained = [(name, p) for name, p in named_parameters if p.requires_grad]
    groups = [
        {"params": [p for name, p in trained if decays(name, p)], "weight_decay": config.weight_decay},
        {"params": [p for name, p in trained if not decays(name, p)], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        fused=True,  # one pass over each parameter: a third of the time
    )
