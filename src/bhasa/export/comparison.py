"""How far an exported model is from its source: both read the same text, token by token.

The source reads it in parallel form, the targets as their users will, so the figures also cover what
separates stepping from scanning. All arithmetic on logits is float64.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from bhasa.errors import UserError
from bhasa.export.config import ExportConfig
from bhasa.model.language_model import LanguageModel
from bhasa.tokens.chat import encode_content
from bhasa.tokens.corpus import read_documents
from bhasa.tokens.special import END_OF_TEXT

Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Prompt:
    text: str
    ids: list[int]
    """`<|endoftext|>` and the text's ids."""


@dataclass(frozen=True)
class Comparison:
    """A target against its source on the same prompt."""

    max_logit_difference: float
    """The largest difference of any logit."""
    relative_logit_difference: float
    """The same as a share of the source's largest logit, by magnitude."""
    mean_kl: float
    """KL(source || target) of the next-token distributions, nats, mean over the prompt."""
    same_argmax: float
    """Share of positions at which both hold the same token likeliest."""
    source_perplexity: float
    perplexity: float

    @property
    def perplexity_increase(self) -> float:
        """In percent of the source's."""
        return 100 * (self.perplexity / self.source_perplexity - 1)


def read_prompt(documents: Path, tokenizer: Tokenizer, tokens: int) -> Prompt:
    """The start of the first document of the test split with that many tokens, or all of the longest one."""
    longest = Prompt("", [])
    for document in read_documents(documents, "test"):
        ids = [END_OF_TEXT, *encode_content(tokenizer, document.text)]
        if len(ids) >= tokens:
            return _cut(tokenizer, document.text, tokens)
        if len(ids) > len(longest.ids):
            longest = Prompt(document.text, ids)
    if len(longest.ids) < 2:
        raise UserError(
            f"{documents}: the test split holds no text; add documents or raise ingest.test_fraction"
        )
    return longest


def source_logits(model: LanguageModel, prompt: Prompt) -> Logits:
    """(l, vocab_size): what the model predicts after each token of the prompt."""
    with torch.inference_mode():
        logits, _ = model(torch.tensor([prompt.ids]))  # (1, l, V)
    values: Logits = logits[0].numpy()
    return values


def compare(source: Logits, target: Logits, ids: list[int]) -> Comparison:
    """Both (l, vocab_size), after reading `ids` (l,)."""
    if source.shape != target.shape:
        raise ValueError(f"logits of different shape: {source.shape} and {target.shape}")
    largest = float(np.abs(source).max())
    differences, divergences, losses = zip(*_by_position(source, target, ids), strict=True)
    difference = float(np.max(differences))
    mean_loss = np.array(losses)[:-1].mean(axis=0)  # what follows the last token is not known
    return Comparison(
        max_logit_difference=difference,
        relative_logit_difference=difference / largest,
        mean_kl=float(np.mean(divergences)),
        same_argmax=float((source.argmax(axis=-1) == target.argmax(axis=-1)).mean()),
        source_perplexity=float(np.exp(mean_loss[0])),
        perplexity=float(np.exp(mean_loss[1])),
    )


def missed_gates(comparison: Comparison, config: ExportConfig, *, exact: bool) -> list[str]:
    """The gates of `config` that a target misses, each as a sentence; a NaN misses all of them."""
    gates = {"max_logit_difference": comparison.relative_logit_difference}
    if not exact:
        gates = {
            "int8_max_kl": comparison.mean_kl,
            "int8_max_perplexity_increase": comparison.perplexity_increase,
        }
    return [
        f"{gate} is {figure:.3g}, allowed is {getattr(config, gate):g}"
        for gate, figure in gates.items()
        if not figure <= getattr(config, gate)
    ]


def _cut(tokenizer: Tokenizer, text: str, tokens: int) -> Prompt:
    """A text of about that many tokens: cut where a token ends, and encoded anew."""
    end = tokenizer.encode(text, add_special_tokens=False).offsets[tokens - 2][1]
    return Prompt(text[:end], [END_OF_TEXT, *encode_content(tokenizer, text[:end])])


def _by_position(
    source: Logits, target: Logits, ids: list[int]
) -> Iterator[tuple[float, float, tuple[float, float]]]:
    """For each position: largest difference, KL divergence, and both losses on the next token."""
    for p, q, following in zip(source, target, [*ids[1:], 0], strict=True):
        log_p, log_q = _log_softmax(p), _log_softmax(q)
        divergence = float((np.exp(log_p) * (log_p - log_q)).sum())
        yield (
            float(np.abs(p.astype(np.float64) - q).max()),
            divergence,
            (-log_p[following], -log_q[following]),
        )


def _log_softmax(logits: Logits) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max()
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum())
    return result
