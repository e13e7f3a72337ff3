"""One text: a decoder with one slot, and writing with it.

Gradients are off inside each call and not across a `yield`, which would turn them off for the caller too.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from torch import Tensor

from bhasa.inference.batch import BatchDecoder
from bhasa.inference.config import SamplingConfig
from bhasa.inference.sampling import sample
from bhasa.model.language_model import LanguageModel
from bhasa.model.mixers.protocol import State


class Snapshot(NamedTuple):
    """A point in a text that a decoder can go back to."""

    state: State
    unread: tuple[int, ...]


class Decoder:
    """A model and what it has read so far. Tokens fed are read when the next prediction is needed."""

    def __init__(self, model: LanguageModel, state: State | None = None) -> None:
        self._decoder = BatchDecoder(model)
        self._slot = self._decoder.open(state=state)
        self.drawn = 0

    @property
    def state(self) -> State:
        """What was read; the next step may change it in place."""
        return self._slot.rows.state

    @property
    def unread(self) -> list[int]:
        """Tokens fed and not read yet."""
        return self._slot.unread

    def feed(self, ids: Sequence[int]) -> None:
        """Append tokens to the text."""
        self._slot.unread.extend(ids)

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

    def next_logits(self) -> Tensor:
        """Read what is unread; the logits (V,) of the token that comes after it."""
        return self._decoder.next_logits_of(self._slot)

    def snapshot(self) -> Snapshot:
        """A copy of the text as it is."""
        return Snapshot(self._decoder.state(self._slot), tuple(self._slot.unread))

    def restore(self, snapshot: Snapshot) -> None:
        """Go back; the snapshot is read and never changed, so it can be restored again."""
        self._slot.put(snapshot.state, snapshot.unread)


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
