"""Recurrent decoding: the prompt in chunks, then one step per token.

All that the model knows of what it read is its state. Without attention, or with a window, that has a
constant size, so memory depends neither on the length of the prompt nor on that of the text. A `Decoder` is a
model with such a state; `generate` is the one-off use of it. Gradients are off inside each call and not
across a `yield`, which would turn them off for the caller too.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from bhasa.inference import native
from bhasa.inference.config import SamplingConfig
from bhasa.inference.sampling import sample
from bhasa.model.language_model import LanguageModel
from bhasa.model.mixers.protocol import State, map_state

PREFILL_CHUNK = 512  # tokens read at once: enough for the parallel scan, small next to the weights


class Snapshot(NamedTuple):
    """A point in a text that a decoder can go back to."""

    state: State
    unread: tuple[int, ...]


class Decoder:
    """A model and what it has read so far. Tokens fed are read when the next prediction is needed."""

    def __init__(self, model: LanguageModel, state: State | None = None) -> None:
        self.model = model
        self.state = model.initial_state(1) if state is None else state
        self.unread: list[int] = []
        self.drawn = 0
        self._device = next(model.parameters()).device

    def feed(self, ids: Sequence[int]) -> None:
        """Append tokens to the text."""
        self.unread.extend(ids)

    def write(self, sampling: SamplingConfig, stop_ids: Collection[int] = ()) -> Iterator[int]:
        """Continue the text: yield each new token, before reading it, up to the first of `stop_ids`.

        The stop token is neither yielded nor part of the text. Abandoning the iterator leaves the text
        as it was yielded. Draws are numbered through the life of the decoder, also across `restore`, so
        a second try differs from the first.
        """
        for _ in range(sampling.max_new_tokens):
            token = sample(self.next_logits(), sampling, self.drawn)
            self.drawn += 1
            if token in stop_ids:
                return
            self.feed([token])
            yield token

    def snapshot(self) -> Snapshot:
        """A copy of the state, since native steps change theirs in place."""
        return Snapshot(map_state(torch.clone, self.state), tuple(self.unread))

    def restore(self, snapshot: Snapshot) -> None:
        """Go back; the snapshot is read and never changed, so it can be restored again."""
        self.state, self.unread = snapshot.state, list(snapshot.unread)

    @torch.inference_mode()
    def next_logits(self) -> Tensor:
        """Read what is unread; the logits (V,) of the token that comes after it."""
        if not self.unread:
            raise ValueError("nothing to continue: feed at least one token first")
        while len(self.unread) > PREFILL_CHUNK:
            self._read(self.unread[:PREFILL_CHUNK])
        return self._read(self.unread)

    def _read(self, ids: list[int]) -> Tensor:
        logits, self.state = self._step(ids[0]) if len(ids) == 1 else self._prefill(ids)
        self.unread = self.unread[len(ids) :]
        return logits

    def _prefill(self, ids: list[int]) -> tuple[Tensor, State]:
        logits, state = self.model.last_logits(torch.tensor([ids], device=self._device), self.state)
        return logits[0], state

    def _step(self, token: int) -> tuple[Tensor, State]:
        if self._stepper is not None:
            return self._stepper.step(token, self.state), self._stepper.state
        logits, state = self.model.step(torch.tensor([token], device=self._device), self.state)
        return logits[0], state

    @cached_property
    def _stepper(self) -> native.NativeStepper | None:
        return native.NativeStepper(self.model) if native.missing(self.model) is None else None


def generate(
    model: LanguageModel,
    prompt_ids: Sequence[int],
    sampling: SamplingConfig,
    *,
    stop_ids: Collection[int] = (),
    state: State | None = None,
) -> Iterator[int]:
    """Yield the tokens that follow `prompt_ids`, read after `state` if there is one; see `Decoder.write`."""
    decoder = Decoder(model, state)
    decoder.feed(prompt_ids)
    yield from decoder.write(sampling, stop_ids)
