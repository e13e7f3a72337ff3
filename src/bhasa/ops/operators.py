"""A pair of kernels as torch operators: with autograd, fake kernels, and thus compilation and export."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Kernel = Callable[..., Sequence[Tensor]]
Gradients = Callable[..., Sequence[Tensor | None]]


def register(
    name: str, inputs: str, *, outputs: int, forward: Kernel, backward: Gradients, fake: Kernel
) -> Callable[..., tuple[Tensor, ...]]:
    """Make the operators bhasa::<name> and bhasa::<name>_backward; returns the differentiable function.

    `inputs` is the argument list in torch's schema language. `forward(*inputs, save)` returns the outputs and
    one tensor to save, which may be empty unless `save`; `fake` the same without computing.
    `backward(*gradients, *inputs, saved)` returns a gradient for each floating input, None for the others.
    """
    results = ", ".join(["Tensor"] * (outputs + 1))
    operator = torch.library.custom_op(
        f"bhasa::{name}",
        lambda *arguments: tuple(forward(*arguments)),
        mutates_args=(),
        schema=f"({inputs}, bool save) -> ({results})",
    )
    operator.register_fake(lambda *arguments: tuple(fake(*arguments)))
    asked = ", ".join(f"Tensor gradient_{i}" for i in range(outputs))
    backward_operator = torch.library.custom_op(
        f"bhasa::{name}_backward",
        lambda *arguments: [_or_empty(gradient) for gradient in backward(*arguments)],
        mutates_args=(),
        schema=f"({asked}, {inputs}, Tensor saved) -> Tensor[]",
    )
    backward_operator.register_fake(
        lambda *arguments: [_or_empty(_like(value)) for value in arguments[outputs:-1]]
    )
    _differentiate(operator, backward_operator, outputs)

    def function(*arguments: Any) -> tuple[Tensor, ...]:
        trained = any(isinstance(value, Tensor) and value.requires_grad for value in arguments)
        results: tuple[Tensor, ...] = operator(*arguments, trained and torch.is_grad_enabled())
        return results[:outputs]

    return function


def _differentiate(operator: Any, backward_operator: Any, outputs: int) -> None:
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.set_materialize_grads(False)  # zeros in the size of what is saved would cost as much as it does
        ctx.others = [None if isinstance(value, Tensor) else value for value in inputs[:-1]]
        tensors = [value if isinstance(value, Tensor) else None for value in inputs[:-1]]
        ctx.save_for_backward(*tensors, *output)

    def differentiate(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        kept = ctx.saved_tensors  # once: a checkpoint recomputes them when they are asked for
        tensors, results = kept[: -outputs - 1], kept[-outputs - 1 :]
        inputs = [other if t is None else t for t, other in zip(tensors, ctx.others, strict=True)]
        asked = [
            torch.zeros_like(r) if g is None else g
            for g, r in zip(gradients[:outputs], results[:outputs], strict=True)
        ]
        found = backward_operator(*asked, *inputs, results[-1])
        return (*(None if _like(v) is None else g for v, g in zip(inputs, found, strict=True)), None)

    operator.register_autograd(differentiate, setup_context=setup_context)


def _like(value: object) -> Tensor | None:
    """An empty gradient for what can have one."""
    if isinstance(value, Tensor) and value.is_floating_point():
        return value.new_empty(value.shape)
    return None


def _or_empty(tensor: Tensor | None) -> Tensor:
    return torch.empty(0) if tensor is None else tensor
