"""How far an exported model is from its source: both read the same documents, token by token.

The source reads them in parallel form, the targets as their users will, so the figures also cover what
separates stepping from scanning. Arithmetic on logits is float64; those of one document are held at a time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from bhasa.errors import UserError
from bhasa.export.targets import Runtime
from bhasa.model.language_model import LanguageModel
from bhasa.tokens.chat import encode_content
from bhasa.tokens.corpus import read_documents
from bhasa.tokens.special import END_OF_TEXT

CHARACTERS_PER_TOKEN = 64  # at least as many as `tokens` tokens take, but for runs of one character

Logits = NDArray[np.float32]
"""(l, vocab_size): what is predicted after each of l tokens."""


@dataclass(frozen=True)
class Prompt:
    """The beginning of a document."""

    text: str
    ids: list[int]
    """`<|endoftext|>` and the text's ids."""


@dataclass(frozen=True)
class Comparison:
    """A target against its source on the same prompts."""

    max_logit_difference: float
    """The largest difference of any logit."""
    logit_difference: float
    """The same as a share of the source's largest logit, by magnitude."""
    mean_kl: float
    """KL(source || target) of the next-token distributions, nats, mean over all positions."""
    max_kl: float
    """The same, at the position where it is largest."""
    same_argmax: float
    """Share of positions at which both hold the same token likeliest."""
    source_perplexity: float
    perplexity: float
    perplexity_increase: float
    """In percent of the source's."""


def read_prompts(folder: Path, tokenizer: Tokenizer, *, documents: int, tokens: int) -> list[Prompt]:
    """About the first `tokens` tokens of each of the first `documents` documents of the test split.

    Their order is that of the hashes of their texts, so the first ones are a fair sample.
    """
    prompts: list[Prompt] = []
    for document in read_documents(folder, "test"):
        prompt = _beginning(tokenizer, document.text, tokens)
        if len(prompt.ids) > 1:
            prompts.append(prompt)
        if len(prompts) == documents:
            break
    if not prompts:
        raise UserError(
            f"{folder}: the test split holds no text; add documents or raise ingest.test_fraction"
        )
    return prompts


def compare(model: LanguageModel, runtime: Runtime, prompts: Sequence[Prompt]) -> Comparison:
    """Have both read every prompt."""
    positions, largest = list[Position](), 0.0
    for prompt in prompts:
        source, target = source_logits(model, prompt.ids), runtime.logits(prompt.ids)
        if source.shape != target.shape:
            raise ValueError(f"logits of different shape: {source.shape} and {target.shape}")
        largest = max(largest, float(np.abs(source).max()))
        positions += _positions(source, target, prompt.ids)
    return _summary(positions, largest)


def source_logits(model: LanguageModel, ids: list[int]) -> Logits:
    with torch.inference_mode():
        logits, _ = model(torch.tensor([ids], device=next(model.parameters()).device))  # (1, l, V)
    values: Logits = logits[0].cpu().numpy()
    return values


def missed_gates(comparison: Comparison, limits: Mapping[str, float]) -> list[str]:
    """The gates that a target misses, each as a sentence; a NaN misses all of them."""
    return [
        f"{name} is {figure:.3g}, at most {limit:g} is allowed"
        for name, limit in limits.items()
        if not (figure := getattr(comparison, name)) <= limit
    ]


class Position(NamedTuple):
    difference: float
    kl: float
    same_argmax: bool
    is_last: bool
    """No token follows, so the losses mean nothing."""
    source_loss: float
    loss: float


def _beginning(tokenizer: Tokenizer, text: str, tokens: int) -> Prompt:
    """Cut where a token ends, and encoded anew."""
    text = text[: CHARACTERS_PER_TOKEN * tokens]  # encoding takes some 150 bytes of memory a character
    encoded = tokenizer.encode(text, add_special_tokens=False)
    if len(encoded.ids) >= tokens:
        text = text[: encoded.offsets[tokens - 2][1]]
    return Prompt(text, [END_OF_TEXT, *encode_content(tokenizer, text)])


def _positions(source: Logits, target: Logits, ids: list[int]) -> Iterator[Position]:
    for i, (p, q, following) in enumerate(zip(source, target, [*ids[1:], END_OF_TEXT], strict=True), start=1):
        log_p, log_q = _log_softmax(p), _log_softmax(q)
        yield Position(
            difference=float(np.abs(p.astype(np.float64) - q).max()),
            kl=float((np.exp(log_p) * (log_p - log_q)).sum()),
            same_argmax=bool(p.argmax() == q.argmax()),
            is_last=i == len(ids),
            source_loss=-log_p[following],
            loss=-log_q[following],
        )


def _summary(positions: Sequence[Position], largest: float) -> Comparison:
    difference, kl, same_argmax, is_last, source_loss, loss = np.array(positions, np.float64).T
    source_perplexity, perplexity = (np.exp(losses[is_last == 0].mean()) for losses in (source_loss, loss))
    return Comparison(
        max_logit_difference=float(difference.max()),
        logit_difference=float(difference.max() / largest),
        mean_kl=float(kl.mean()),
        max_kl=float(kl.max()),
        same_argmax=float(same_argmax.mean()),
        source_perplexity=float(source_perplexity),
        perplexity=float(perplexity),
        perplexity_increase=float(100 * (perplexity / source_perplexity - 1)),
    )


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max()
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum())
    return result
