"""A pair of kernels as torch operators: with autograd, fake kernels, and thus compilation and export.

They are defined in a library of torch's and not by `custom_op`, whose first call imports torch's compiler,
which takes longer than torch itself.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar, get_type_hints

import torch
from torch import Tensor

Inputs = TypeVar("Inputs", bound=NamedTuple)
Kernel = Callable[[Inputs, bool], tuple[Tensor, ...]]
Gradients = Callable[..., Sequence[Tensor | None]]

LIBRARY = torch.library.Library("bhasa", "FRAGMENT")
TYPES = {Tensor: "Tensor", Tensor | None: "Tensor?", float: "float", int: "int"}


def register(
    name: str,
    inputs: type[Inputs],
    *,
    outputs: int,
    forward: Kernel[Inputs],
    backward: Gradients,
    fake: Kernel[Inputs],
) -> Callable[[Inputs], Any]:
    """Make the operators bhasa::<name> and bhasa::<name>_backward; returns the differentiable function.

    That takes one `inputs`, a NamedTuple whose fields torch sees as arguments, and returns the output, or the
    tuple of the outputs if there are several. `forward(inputs, save)` returns the outputs and one tensor to
    save, which may be empty unless `save`; `fake` the same without computing. `backward(*gradients, inputs,
    saved)` returns a gradient for each floating input, None for the others.
    """
    results = ", ".join(["Tensor"] * (outputs + 1))
    operator = define(
        name,
        f"({schema(inputs)}, bool save) -> ({results})",
        compute=lambda *arguments: forward(inputs._make(arguments[:-1]), arguments[-1]),
        fake=lambda *arguments: fake(inputs._make(arguments[:-1]), arguments[-1]),
    )
    _differentiate(name, _backward_operator(name, inputs, outputs, backward), outputs)

    def function(values: Inputs) -> Any:
        trained = any(isinstance(value, Tensor) and value.requires_grad for value in values)
        results = operator(*values, trained and torch.is_grad_enabled())
        return results[0] if outputs == 1 else results[:outputs]

    return function


def define(name: str, signature: str, *, compute: Callable[..., Any], fake: Callable[..., Any]) -> Any:
    """Make the operator bhasa::<name>, not yet differentiable; `fake` makes its results without computing."""
    LIBRARY.define(name + signature, tags=torch.Tag.pt2_compliant_tag)
    LIBRARY.impl(name, compute, "CompositeExplicitAutograd")
    torch.library.register_fake(f"bhasa::{name}", fake, lib=LIBRARY)
    return getattr(torch.ops.bhasa, name).default


def register_autograd(name: str, backward: Callable[..., Any], setup_context: Callable[..., None]) -> None:
    """Say how bhasa::<name> is differentiated, as `torch.library.register_autograd` describes it."""
    torch.library.register_autograd(f"bhasa::{name}", backward, setup_context=setup_context, lib=LIBRARY)


def schema(inputs: type[NamedTuple]) -> str:
    """The fields in torch's schema language."""
    return ", ".join(f"{TYPES[kind]} {name}" for name, kind in get_type_hints(inputs).items())


def _backward_operator(name: str, inputs: type[NamedTuple], outputs: int, backward: Gradients) -> Any:
    def compute(*arguments: Any) -> list[Tensor]:
        gradients, values, saved = arguments[:outputs], arguments[outputs:-1], arguments[-1]
        return [_or_empty(found) for found in backward(*gradients, inputs._make(values), saved)]

    gradients = "".join(f"Tensor gradient_{i}, " for i in range(outputs))
    return define(
        f"{name}_backward",
        f"({gradients}{schema(inputs)}, Tensor saved) -> Tensor[]",
        compute=compute,
        fake=lambda *arguments: [_or_empty(_like(value)) for value in arguments[outputs:-1]],
    )


def _differentiate(name: str, backward_operator: Any, outputs: int) -> None:
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

    register_autograd(name, differentiate, setup_context)


def _like(value: object) -> Tensor | None:
    """An empty gradient for what can have one."""
    if isinstance(value, Tensor) and value.is_floating_point():
        return value.new_empty(value.shape)
    return None


def _or_empty(tensor: Tensor | None) -> Tensor:
    return torch.empty(0) if tensor is None else tensor
