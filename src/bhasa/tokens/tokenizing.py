"""Documents to shards, file by file of documents, each kept when it is finished."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import tee
from pathlib import Path

from tokenizers import Tokenizer

from bhasa.tokens.corpus import LabelledText, document_files, read_labelled
from bhasa.tokens.encoding import encode_checked
from bhasa.tokens.finished import FinishedFile, Tally, WorkFolder
from bhasa.tokens.shard_writer import TokenDocument, write_shards

Advance = Callable[[float], None]
"""Told the bytes of documents that are done."""

Each = Callable[[Callable[[Path], bytes], Iterable[Path]], Iterable[bytes]]
"""Calls a function with every file and gives the results in their order, as a cluster's `map` does."""


def tokenize_split(
    work: WorkFolder, tokenizer: Tokenizer, documents: Path, split: str, advance: Advance, each: Each | None
) -> list[FinishedFile]:
    """Write the shards of a split into `work`, but for those of files that were finished before.

    The files are worked on by `each`, and one after the other by this process where that is None.
    """
    paths = document_files(documents, split)
    known = {path: result for path in paths if (result := work.finished(path.name)) is not None}
    advance(sum(shard.bytes for result in known.values() for shard in result.shards))
    waiting = [path for path in paths if path not in known]
    for path, result in zip(waiting, _tokenize(waiting, work, tokenizer, advance, each), strict=True):
        work.finish(path.name, result)
        known[path] = result
    return [known[path] for path in paths]


def _tokenize(
    paths: list[Path], work: WorkFolder, tokenizer: Tokenizer, advance: Advance, each: Each | None
) -> Iterator[FinishedFile]:
    if each is None:
        yield from (_tokenize_file(path, work.tokens, tokenizer, advance) for path in paths)
        return
    for answer in each(partial(_answer, folder=work.tokens, tokenizer=tokenizer.to_str()), paths):
        result = FinishedFile.parse(json.loads(answer), "a file of documents")
        advance(sum(shard.bytes for shard in result.shards))
        yield result


def _answer(path: Path, folder: Path, tokenizer: str) -> bytes:
    """The same on another machine, which has the same folders."""
    result = _tokenize_file(path, folder, Tokenizer.from_str(tokenizer), lambda size: None)
    return json.dumps(result.as_mapping()).encode()


def _tokenize_file(path: Path, folder: Path, tokenizer: Tokenizer, advance: Advance) -> FinishedFile:
    tallies: dict[str, dict[str, Tally]] = defaultdict(lambda: defaultdict(Tally))
    encoded = _encoded(tokenizer, read_labelled(path), tallies, advance)
    shards = write_shards(folder, path.stem, encoded, vocab_size=tokenizer.get_vocab_size())
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
