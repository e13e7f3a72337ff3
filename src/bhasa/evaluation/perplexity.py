"""How well a model predicts unseen text: perplexity per token and bits per byte.

Every document is read from its first to its last token with the state carried from chunk to chunk, so
each token is predicted from all that comes before it, in constant memory. Documents are read side by
side with padding after the shorter ones; the model is causal, so what comes after, and what happens in
other rows, cannot touch a document's score. Bits per byte does not depend on the tokenizer.
"""

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bhasa.errors import BhasaError
from bhasa.model.language_model import LanguageModel
from bhasa.model.mixers.protocol import map_state
from bhasa.progress import Progress, progress

Ids = NDArray[np.integer[Any]]
"""(1 + tokens,): a document's ids, after the special token that starts it and is not predicted."""

Losses = NDArray[np.float64]
"""(tokens,): -log p of each token after the first, in nats."""

FIRST_BUCKET = 32  # positions; each further bucket of `loss_by_position` doubles the distance
WORST_LOSS = 700.0  # nats per token; exp() of more overflows


@dataclass(frozen=True)
class Score:
    """A model on a set of documents."""

    loss: float
    """Nats per token."""
    bits_per_byte: float
    tokens: int
    """Predicted ones: all but the special token that starts each document."""

    @property
    def perplexity(self) -> float:
        return math.exp(self.loss)


def score(losses: Sequence[Losses], size: int) -> Score:
    """Sum up documents of `size` UTF-8 bytes together."""
    tokens = sum(len(document) for document in losses)
    nats = math.fsum(math.fsum(document) for document in losses)
    if not nats / tokens < WORST_LOSS:
        raise BhasaError(
            f"a loss of {nats / tokens} per token: the model's weights are broken; train it again"
        )
    return Score(loss=nats / tokens, bits_per_byte=nats / math.log(2) / size, tokens=tokens)


def loss_by_position(losses: Sequence[Losses]) -> list[tuple[int, float]]:
    """Mean loss by how much was read before: (end of the bucket, nats), each bucket as long as all before it.

    A model that uses its state well gains with every bucket.
    """
    every = np.concatenate(losses)
    position = np.concatenate([np.arange(1, len(document) + 1) for document in losses])  # tokens read before
    bucket = np.ceil(np.log2(np.maximum(position / FIRST_BUCKET, 1))).astype(np.int64)
    return [(FIRST_BUCKET << int(b), float(every[bucket == b].mean())) for b in np.unique(bucket)]


def token_losses(
    model: LanguageModel,
    documents: Sequence[Ids],
    *,
    batch: int,
    chunk: int,
    what: str = "evaluate",
) -> list[Losses]:
    """The losses of each document, in the order given.

    `batch` documents of similar length are read side by side, `chunk` tokens of each at once; neither
    changes what is computed.
    """
    losses = [np.empty(len(document) - 1) for document in documents]
    longest_first = sorted(range(len(documents)), key=lambda i: -len(documents[i]))
    with progress(what, sum(map(len, losses)), "tokens") as shown:
        for start in range(0, len(documents), batch):
            rows = longest_first[start : start + batch]
            _read_side_by_side(model, [documents[i] for i in rows], [losses[i] for i in rows], chunk, shown)
    return losses


@torch.inference_mode()
def _read_side_by_side(
    model: LanguageModel, documents: list[Ids], losses: list[Losses], chunk: int, shown: Progress
) -> None:
    """Fill `losses`; the longest document comes first, so the rows that still run are the first ones."""
    device = next(model.parameters()).device
    state = model.initial_state(len(documents))
    for start in range(0, len(losses[0]), chunk):
        running = sum(len(row) > start for row in losses)
        state = map_state(operator.itemgetter(slice(running)), state)
        tokens = _padded([document[start : start + chunk + 1] for document in documents[:running]]).to(device)
        nats, state = model.token_losses(tokens[:, :-1], tokens[:, 1:], state)  # (b, l)
        for row, values in zip(losses, nats.cpu().double().numpy(), strict=False):
            here = row[start : start + chunk]
            here[:] = values[: len(here)]
            shown.advance(len(here))


def _padded(rows: list[Ids]) -> Tensor:
    """(b, l) of the first row's length, the longest; what is padded with makes no difference."""
    tokens = torch.zeros(len(rows), len(rows[0]), dtype=torch.long)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = torch.from_numpy(row.astype(np.int64))
    return tokens
