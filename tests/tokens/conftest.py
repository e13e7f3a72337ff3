import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from bhasa.tokens import tokenizer_files
from bhasa.tokens.config import BpeConfig
from bhasa.tokens.kinds import bpe
from bhasa.tokens.shard_reader import TokenSplit, open_split
from bhasa.tokens.shard_writer import TokenDocument, write_tokens
from bhasa.tokens.special import END_OF_TEXT

VOCAB_SIZE = 400


def words(seed: int, count: int) -> str:
    draw = random.Random(seed)
    syllables = ["sta", "te", "spa", "ce", "mod", "el", "re", "ad", "na\u00ef", "\u65e5\u672c", "12", "x=="]
    between = [" ", " ", " ", "'s ", "\n", "\n    ", ", "]
    return "".join("".join(draw.choices(syllables, k=3)) + draw.choice(between) for _ in range(count))


@pytest.fixture(scope="session")
def corpus() -> list[str]:
    return [words(seed, 300) for seed in range(20)]


@pytest.fixture(scope="session")
def tokenizer_folder(corpus: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokens") / "tokenizer"
    tokenizer_files.save(bpe.make(BpeConfig(vocab_size=VOCAB_SIZE), corpus), folder)
    return folder


@pytest.fixture
def tokenizer(tokenizer_folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))


MakeSplit = Callable[..., TokenSplit]


@pytest.fixture(scope="session")
def make_split(tokenizer_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> MakeSplit:
    """Open a split of documents of these lengths; each but the special tokens is another number."""

    def make(
        lengths: Sequence[int],
        masks: Sequence[Sequence[int]] | None = None,
        shard_tokens: int = 7,
        domains: Sequence[str] | None = None,
    ) -> TokenSplit:
        numbers = np.arange(1, sum(lengths) + 1)
        documents, first = [], 0
        for place, length in enumerate(lengths):
            ids = numbers[first : first + length].copy()
            ids[0] = END_OF_TEXT
            mask, domain = masks and masks[place], domains[place] if domains else ""
            documents.append(TokenDocument(ids, length, mask, domain))
            first += length
        folder = tmp_path_factory.mktemp("split") / "tokens"
        write_tokens(
            folder,
            {"train": documents},
            vocab_size=sum(lengths) + 1,
            tokenizer=tokenizer_folder,
            masked=masks is not None,
            shard_tokens=shard_tokens,
        )
        return open_split(folder, "train", tokenizer=tokenizer_folder)

    return make
