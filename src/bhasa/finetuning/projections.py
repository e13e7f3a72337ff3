"""Which projections of a model can be adapted; needs no peft, so that a choice can be checked in a moment."""

from collections.abc import Sequence

from torch import nn

from bhasa.errors import UserError


def projections(model: nn.Module, targets: Sequence[str]) -> list[str]:
    """The names that `targets` mean, in order; raises `UserError` for one that names none of the model's."""
    linear = {name.rpartition(".")[2] for name, m in model.named_modules() if isinstance(m, nn.Linear)}
    linear.discard("lm_head")  # may be the embedding too, which merging would change with it
    if list(targets) == ["all"]:
        return sorted(linear)
    unmatched = [target for target in targets if target not in linear]
    if unmatched:
        raise UserError(
            f"finetune.targets: {', '.join(unmatched)}: no such projection in the model; "
            f"there are: {', '.join(sorted(linear))}, or all for every one"
        )
    return sorted(targets)
