"""Which projections of a model can be adapted; needs no peft, so that a choice can be checked in a moment."""

from collections.abc import Sequence

from torch import nn

from bhasa.bundle.published import adaptable
from bhasa.errors import UserError
from bhasa.model.language_model import LanguageModel


def projections(model: LanguageModel, targets: Sequence[str]) -> list[str]:
    """The names that `targets` mean, in order; raises `UserError` for one that names none of the model's."""
    linear = {name.rpartition(".")[2] for name, m in model.named_modules() if isinstance(m, nn.Linear)}
    linear.discard("lm_head")  # may be the embedding too, which merging would change with it
    if list(targets) == ["all"]:
        return sorted(linear)
    if list(targets) == ["portable"]:
        return sorted(adaptable(model.config) or linear)
    unmatched = [target for target in targets if target not in linear]
    if unmatched:
        raise UserError(
            f"finetune.adapter.targets: {', '.join(unmatched)}: no such projection in the model; "
            f"there are: {', '.join(sorted(linear))}; or [portable] for those that other programs can adapt "
            "too, or [all] for every one"
        )
    return sorted(targets)


def are_portable(model: LanguageModel, names: Sequence[str]) -> bool:
    """Whether adapters of these projections open in peft on transformers' class, with our numbers."""
    return set(names) <= set(adaptable(model.config))
