"""The token folder: one stream of tokens per split, in `.npy` shards that are read through memory maps.

`<file of documents>-00000.npy` and on hold the tokens (uint16, or uint32 for vocabularies from 65,536 up) of
whole documents of one domain; `.offsets.npy` beside each where its documents start, and where the last one
ends; `.mask.npy` which of the tokens count in the loss, where not all do. `index.json` has the sizes, the
largest ids and the hash of every file, so that its own hash names the whole folder. The stream of a split is
its shards in the order of the index: domain by domain, by name, in each the documents in the order they came.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from bhasa.journal import sha256_file, write_json
from bhasa.params import Config

INDEX_FILE = "index.json"
TOKENIZER_FILE = "tokenizer.json"
SHARD_TOKENS = 1 << 25  # 64 MiB of uint16; a shard ends with the document that fills it


class Shard(Config):
    file: str
    domain: str
    tokens: int
    documents: int
    bytes: int
    """UTF-8 bytes of the texts."""
    target_tokens: int
    """Those that count in the loss."""
    max_id: int
    sha256: str
    offsets_sha256: str
    mask_sha256: str | None
    """None where all tokens count."""

    @property
    def offsets_file(self) -> str:
        return beside(self.file, "offsets")

    @property
    def mask_file(self) -> str:
        return beside(self.file, "mask")


class SplitIndex(Config):
    masked: bool
    shards: tuple[Shard, ...]

    @property
    def tokens(self) -> int:
        return sum(shard.tokens for shard in self.shards)

    @property
    def documents(self) -> int:
        return sum(shard.documents for shard in self.shards)

    @property
    def bytes(self) -> int:
        return sum(shard.bytes for shard in self.shards)

    @property
    def target_tokens(self) -> int:
        return sum(shard.target_tokens for shard in self.shards)

    @property
    def max_id(self) -> int:
        return max((shard.max_id for shard in self.shards), default=0)

    @property
    def domains(self) -> tuple[str, ...]:
        """By name, which is their order in the stream."""
        return tuple(sorted({shard.domain for shard in self.shards}))


class Index(Config):
    dtype: Literal["uint16", "uint32"]
    vocab_size: int
    tokenizer_sha256: str
    splits: dict[str, SplitIndex]


def write_index(
    folder: Path, splits: Mapping[str, Iterable[Shard]], *, vocab_size: int, tokenizer: Path, masked: bool
) -> Index:
    """Put `index.json` to the shards in `folder`, which makes it a token folder; returns what it says."""
    index = Index(
        dtype=dtype_of(vocab_size),
        vocab_size=vocab_size,
        tokenizer_sha256=sha256_file(tokenizer / TOKENIZER_FILE),
        splits={
            split: SplitIndex(masked=masked, shards=tuple(sorted(shards, key=lambda shard: shard.domain)))
            for split, shards in splits.items()
        },
    )
    write_json(folder / INDEX_FILE, {"version": 1} | index.as_mapping())
    return index


def identity(folder: Path) -> str:
    """The hash of a token folder: of its index, which holds those of all its files."""
    return sha256_file(folder / INDEX_FILE)


def dtype_of(vocab_size: int) -> Literal["uint16", "uint32"]:
    """The narrowest type that holds every id."""
    return "uint16" if vocab_size < 1 << 16 else "uint32"


def beside(shard: str, kind: str) -> str:
    """The name of another array of the same shard."""
    return f"{shard.removesuffix('.npy')}.{kind}.npy"
