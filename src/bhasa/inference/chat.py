"""A conversation whose past is never read again.

The recurrent state is kept between turns, so a turn costs its own tokens however long the conversation
is, and memory stays constant. The state before the last turn is kept too, which makes trying that turn
again as cheap.
"""

from collections.abc import Generator

from tokenizers import Tokenizer

from bhasa.errors import UserError
from bhasa.inference.config import SamplingConfig
from bhasa.inference.generate import Decoder, Snapshot
from bhasa.inference.text import special_ids, stream
from bhasa.model.language_model import LanguageModel
from bhasa.tokens import chat
from bhasa.tokens.special import SPECIAL_TOKENS


class ChatSession:
    """A user and a model by turns."""

    def __init__(self, model: LanguageModel, tokenizer: Tokenizer, sampling: SamplingConfig) -> None:
        self.model, self.tokenizer, self.sampling = model, tokenizer, sampling
        chat.require_special_tokens(tokenizer, range(len(SPECIAL_TOKENS)))
        self._stop_ids = special_ids(tokenizer)
        self.reset()

    def reset(self) -> None:
        """Forget the conversation."""
        self._decoder = Decoder(self.model)
        self._decoder.feed(chat.START)
        self._last_turn: tuple[str, Snapshot] | None = None

    def reply(self, message: str) -> Generator[str, None, None]:
        """Yield the answer to `message` piece by piece.

        Abandoning the iterator, or an exception in it, ends the turn after what was written so far.
        """
        self._last_turn = message, self._decoder.snapshot()
        self._decoder.feed(chat.question(self.tokenizer, message))
        try:
            yield from stream(self.tokenizer, self._decoder.write(self.sampling, self._stop_ids))
        finally:
            self._decoder.feed(chat.END)

    def retry(self) -> Generator[str, None, None]:
        """Answer the last message once more, with other draws; the first answer is forgotten."""
        if self._last_turn is None:
            raise UserError("there is no answer to try again yet; write a message first")
        message, before = self._last_turn
        self._decoder.restore(before)
        return self.reply(message)
