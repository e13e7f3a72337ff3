"""What is measured: one model and its tokenizer, beside the texts of the test split."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tokenizers import Tokenizer

from bhasa.evaluation.config import EvaluateConfig
from bhasa.evaluation.perplexity import Losses, token_losses
from bhasa.model.language_model import LanguageModel
from bhasa.tokens.encoding import encode_documents


@dataclass(frozen=True)
class Subject:
    """One model, for the time in which it is measured."""

    name: str
    """As the report calls it: base, finetuned."""
    sha256: str
    """Of its weights."""
    chats: bool
    """Whether it was tuned to answer."""
    model: LanguageModel
    tokenizer: Tokenizer
    texts: Sequence[str]
    config: EvaluateConfig

    @cached_property
    def losses(self) -> list[Losses]:
        """Of each text; computed once, for all measures that need them."""
        documents = list(encode_documents(self.tokenizer, self.texts))
        return token_losses(
            self.model,
            documents,
            batch=self.config.batch,
            chunk=self.config.chunk,
            what=f"evaluate {self.name}",
        )
