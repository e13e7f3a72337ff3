"""Documents to shards, one file of documents after the other, each kept when it is finished."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import tee
from pathlib import Path

from tokenizers import Tokenizer

from bhasa.tokens.corpus import LabelledText, document_files, read_labelled
from bhasa.tokens.encoding import encode_checked
from bhasa.tokens.shard_writer import TokenDocument, write_shards
from bhasa.tokens.unfinished import FinishedFile, Tally, WorkFolder

Advance = Callable[[float], None]
"""Told the bytes of each document that is done."""


def tokenize_split(
    work: WorkFolder, tokenizer: Tokenizer, documents: Path, split: str, advance: Advance
) -> list[FinishedFile]:
    """Write the shards of a split into `work`, but for those of files that were finished before."""
    results: list[FinishedFile] = []
    for path in document_files(documents, split):
        result = work.finished(path.name)
        if result is None:
            first = sum(len(earlier.shards) for earlier in results)
            result = _tokenize_file(work.tokens, tokenizer, path, split, first, advance)
            work.finish(path.name, result)
        else:
            advance(sum(shard.bytes for shard in result.shards))
        results.append(result)
    return results


def _tokenize_file(
    folder: Path, tokenizer: Tokenizer, path: Path, split: str, first: int, advance: Advance
) -> FinishedFile:
    tallies: dict[str, dict[str, Tally]] = defaultdict(lambda: defaultdict(Tally))
    encoded = _encoded(tokenizer, read_labelled(path), tallies, advance)
    shards = write_shards(folder, split, encoded, vocab_size=tokenizer.get_vocab_size(), first=first)
    return FinishedFile(shards=shards, tallies=tallies)


def _encoded(
    tokenizer: Tokenizer,
    documents: Iterable[LabelledText],
    tallies: dict[str, dict[str, Tally]],
    advance: Advance,
) -> Iterator[TokenDocument]:
    documents, being_encoded = tee(documents)
    texts = (document.text for document in documents)
    for encoded, document in zip(encode_checked(tokenizer, texts), being_encoded, strict=True):
        kind = document.media_type if document.language == "und" else document.language
        tallies[document.domain][kind] += Tally(
            documents=1, bytes=document.bytes, tokens=len(encoded.ids), inexact=int(not encoded.exact)
        )
        yield TokenDocument(encoded.ids, document.bytes, domain=document.domain)
        advance(document.bytes)
