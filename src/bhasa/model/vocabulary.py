"""A model whose tokens are numbered anew: the rows of its embedding move, what it computes stays."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bhasa.model.language_model import LanguageModel

Rows = Sequence[int | None]
"""For each id the one it had before; None: a token that is new."""


@torch.no_grad()
def renumber(model: LanguageModel, rows: Rows) -> None:
    """Change the embedding, and an output projection of its own, in place.

    A token that is new gets the mean of all, with which it is about as likely as the average token (Hewitt
    2021, "Initializing new word embeddings"). Rows beyond all tokens, which fill up official vocabularies,
    stay. Raises `ValueError` when a row is asked for that there is not.
    """
    known = model.config.vocab_size
    if missing := [row for row in rows if row is not None and row >= known]:
        raise ValueError(f"token {missing[0]} has no row in a vocabulary of {known}")
    if list(rows) == list(range(len(rows))):
        return
    embeddings, head = model.backbone.embeddings, model.lm_head
    embeddings.weight = nn.Parameter(_moved(embeddings.weight, rows))
    tied = model.config.tie_embeddings
    head.weight = embeddings.weight if tied else nn.Parameter(_moved(head.weight, rows))
    embeddings.num_embeddings = head.out_features = len(embeddings.weight)
    model.config = model.config.model_copy(update={"vocab_size": len(embeddings.weight)})


def _moved(matrix: Tensor, rows: Rows) -> Tensor:
    """(V, d) to (V', d) with V' = max(V, len(rows))."""
    moved = torch.cat([matrix, matrix.new_empty(max(0, len(rows) - len(matrix)), matrix.shape[1])])
    new, old = zip(*((i, row) for i, row in enumerate(rows) if row is not None), strict=True)
    moved[: len(rows)] = matrix[list(old)].double().mean(0).to(matrix.dtype)
    moved[list(new)] = matrix[list(old)]
    return moved
