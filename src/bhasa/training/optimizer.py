"""What a gradient does to the weights: AdamW, or Muon for the hidden matrices and AdamW for the rest.

An optimiser of torch imports torch's compiler; the function beneath its AdamW, which is used here, does not.
A process that takes one training step then costs 1.9 s of processor time instead of 3.3 (torch 2.13, AdamW,
least of 7; Muon 2.0 instead of 3.5).
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from bhasa.training.config import TrainingConfig
from bhasa.training.muon import Muon

EPSILON = 1e-8


class Rule(Protocol):
    """How some of the parameters are updated."""

    params: Mapping[str, nn.Parameter]
    state: dict[str, dict[str, Tensor]]
    """By parameter: what is kept from step to step, updated in place."""

    def step(self, rate: float) -> None: ...


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019), one pass over each parameter."""

    def __init__(
        self, params: Mapping[str, nn.Parameter], *, betas: tuple[float, float], weight_decay: float
    ) -> None:
        self.params, self.betas, self.weight_decay = params, betas, weight_decay
        self.state = {
            name: {
                "exp_avg": torch.zeros_like(p),
                "exp_avg_sq": torch.zeros_like(p),
                "step": torch.zeros((), device=p.device),
            }
            for name, p in params.items()
        }

    @torch.no_grad()
    def step(self, rate: float) -> None:
        updated = {name: p for name, p in self.params.items() if p.grad is not None}
        states = [self.state[name] for name in updated]
        adamw(
            list(updated.values()),
            [p.grad for p in updated.values() if p.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=rate,
            weight_decay=self.weight_decay,
            eps=EPSILON,
            maximize=False,
        )


class Optimizer:
    """Updates every parameter that is trained, each by one rule."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = [rule for rule in rules if rule.params]

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [p for rule in self.rules for p in rule.params.values()]

    @property
    def param_groups(self) -> list[dict[str, list[nn.Parameter]]]:
        """What torch's GradScaler asks of an optimiser."""
        return [{"params": self.parameters}]

    def step(self, rate: float) -> None:
        """Update what has a gradient, at this learning rate."""
        for rule in self.rules:
            rule.step(rate)

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """All that it keeps from step to step, by name; the tensors themselves."""
        return {
            f"{name}.{key}": value
            for rule in self.rules
            for name, kept in rule.state.items()
            for key, value in kept.items()
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave of an optimiser of the same parameters and rules."""
        for name, value in self.state().items():
            value.copy_(state[name])


def build_optimizer(
    named_parameters: Iterable[tuple[str, nn.Parameter]], config: TrainingConfig
) -> Optimizer:
    """An optimiser of what requires a gradient."""
    trained = {name: p for name, p in named_parameters if p.requires_grad}
    muon = {name: p for name, p in trained.items() if config.optimizer == "muon" and is_hidden(name, p)}
    others = {name: p for name, p in trained.items() if name not in muon}
    decayed = {name: p for name, p in others.items() if decays(name, p)}
    kept = {name: p for name, p in others.items() if name not in decayed}
    betas = config.beta1, config.beta2
    return Optimizer(
        [
            Muon(muon, momentum=config.momentum, weight_decay=config.weight_decay),
            AdamW(decayed, betas=betas, weight_decay=config.weight_decay),
            AdamW(kept, betas=betas, weight_decay=0.0),
        ]
    )


def decays(name: str, parameter: nn.Parameter) -> bool:
    """Whether a parameter is decayed: matrices are; biases, norms, D and A_log (2-D too) are not."""
    return parameter.ndim >= 2 and name.rpartition(".")[2] != "A_log"


def is_hidden(name: str, parameter: nn.Parameter) -> bool:
    """Whether a parameter is a matrix inside a layer: not the embedding, the head or the convolution."""
    return decays(name, parameter) and parameter.ndim == 2 and ".layers." in name
