"""Stage 2: from documents and conversations to a tokenizer and the token streams that training reads."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from itertools import chain, tee
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bhasa.errors import UserError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from bhasa.progress import Progress
    from bhasa.tokens.config import TokenizeConfig
    from bhasa.tokens.shard_writer import TokenDocument
    from bhasa.tokens.shards import Index
    from bhasa.tracking import Tracker


def command(
    params: Annotated[Path, typer.Option(help="File with the section `tokenize`.")],
    documents: Annotated[Path, typer.Option(help="Folder of documents: Parquet files per split.")],
    chat: Annotated[Path, typer.Option(help="Folder of conversations: JSON lines per split.")],
    tokenizer: Annotated[Path, typer.Option(help="Folder to write: the tokenizer.")],
    tokens: Annotated[Path, typer.Option(help="Folder to write `documents` and `chat` in: token streams.")],
    report: Annotated[Path, typer.Option(help="File to write: sizes of the vocabulary and of every split.")],
) -> None:
    """Learn a byte-level BPE tokenizer and turn documents and conversations into tokens."""
    from bhasa.stages import read_init_from, tracked
    from bhasa.tokens.config import TokenizeConfig

    config = TokenizeConfig.load(params, "tokenize")
    with tracked("tokenize", params) as tracker:
        run(
            config,
            init_from=read_init_from(params),
            documents=documents,
            chat=chat,
            tokenizer=tokenizer,
            tokens=tokens,
            report=report,
            tracker=tracker,
        )


def run(
    config: TokenizeConfig,
    *,
    init_from: Path | None = None,
    documents: Path,
    chat: Path,
    tokenizer: Path,
    tokens: Path,
    report: Path,
    tracker: Tracker,
) -> dict[str, float]:
    """Write the folders `tokenizer`, `tokens/documents` and `tokens/chat` and the file `report`.

    Only the train split of the documents shapes the tokenizer, or none of it: that of the model folder
    `init_from` is taken where there is one. Missing or broken input is a `UserError`.
    """
    from bhasa.dataset import SPLITS
    from bhasa.journal import publish, require_space, write_json
    from bhasa.tokens import bpe
    from bhasa.tokens.corpus import count_bytes, count_conversations

    sizes: dict[str, int] = {split: count_bytes(documents, split) for split in SPLITS}
    conversations = sum(count_conversations(chat, split) for split in SPLITS)
    require_space(tokens, sum(sizes.values()), "writing the tokens")  # 2 bytes for about 3 bytes of text
    trained = _take_over(init_from) if init_from else _train(config, documents, sizes["train"])
    with (
        publish(tokenizer) as tokenizer_draft,
        publish(tokens / "documents") as documents_draft,
        publish(tokens / "chat") as chat_draft,
    ):
        bpe.save(trained, tokenizer_draft)
        documents_index = _write_documents(documents_draft, trained, documents, tokenizer_draft, sizes)
        chat_index = _write_chat(chat_draft, trained, chat, tokenizer_draft, conversations)
    asked = trained.get_vocab_size() if init_from else config.vocab_size
    values = _report(asked, documents_index, chat_index)
    write_json(report, values)
    metrics = _metrics(values)
    tracker.log_input("documents", documents, "tokenizing")
    tracker.log_input("chat", chat, "tokenizing")
    tracker.log_metrics(metrics)
    tracker.log_file(report)
    return metrics


def _take_over(folder: Path) -> Tokenizer:
    from bhasa.tokens.foreign_tokenizer import open_foreign

    tokenizer = open_foreign(folder).tokenizer
    print(
        f"tokenize: the {tokenizer.get_vocab_size():,} tokens of pretrain.init_from ({folder}) are used, and "
        "tokenize.vocab_size and tokenize.min_frequency are not",
        file=sys.stderr,
    )
    return tokenizer


def _train(config: TokenizeConfig, folder: Path, size: int) -> Tokenizer:
    from bhasa.progress import progress
    from bhasa.tokens import bpe

    if not size:
        raise UserError(f"{folder}: the train split has no text; add documents to `ingest.sources`")
    with progress("learning the tokenizer", min(size, config.max_bytes) / 1e6, "MB") as shown:
        tokenizer = bpe.train(_sample(folder, config.max_bytes, shown), config)
    found, asked = tokenizer.get_vocab_size(), config.vocab_size
    if found < asked:
        print(f"tokenize.vocab_size: {asked:,} asked for, the text gives {found:,} tokens", file=sys.stderr)
    return tokenizer


def _sample(folder: Path, limit: int, shown: Progress) -> Iterator[str]:
    """Documents of the train split until `limit` bytes are reached."""
    from bhasa.tokens.corpus import read_documents

    read = 0
    for document in read_documents(folder, "train"):
        yield document.text
        shown.advance(document.bytes / 1e6)
        read += document.bytes
        if read >= limit:
            return


def _write_documents(
    draft: Path, tokenizer: Tokenizer, folder: Path, tokenizer_folder: Path, sizes: Mapping[str, int]
) -> Index:
    from bhasa.progress import progress
    from bhasa.tokens.bpe import encode_documents
    from bhasa.tokens.corpus import document_files, read_labelled
    from bhasa.tokens.shard_writer import TokenDocument, write_tokens

    def encoded(split: str) -> Iterator[TokenDocument]:
        files = document_files(folder, split)
        documents, being_encoded = tee(chain.from_iterable(map(read_labelled, files)))
        texts = (document.text for document in documents)
        for ids, document in zip(encode_documents(tokenizer, texts), being_encoded, strict=True):
            yield TokenDocument(ids, document.bytes, domain=document.domain)
            shown.advance(document.bytes / 1e6)

    with progress("encoding documents", sum(sizes.values()) / 1e6, "MB") as shown:
        return write_tokens(
            draft,
            {split: encoded(split) for split in sizes},
            vocab_size=tokenizer.get_vocab_size(),
            tokenizer=tokenizer_folder,
            masked=False,
        )


def _write_chat(draft: Path, tokenizer: Tokenizer, folder: Path, tokenizer_folder: Path, count: int) -> Index:
    from bhasa.dataset import SPLITS
    from bhasa.progress import progress
    from bhasa.tokens.chat import render
    from bhasa.tokens.corpus import read_conversations
    from bhasa.tokens.shard_writer import TokenDocument, write_tokens

    def encoded(split: str) -> Iterator[TokenDocument]:
        for messages in read_conversations(folder, split):
            ids, mask = render(tokenizer, messages)
            yield TokenDocument(ids, sum(len(message["content"].encode()) for message in messages), mask)
            shown.advance(1)

    with progress("encoding conversations", count, "conversations") as shown:
        return write_tokens(
            draft,
            {split: encoded(split) for split in SPLITS},
            vocab_size=tokenizer.get_vocab_size(),
            tokenizer=tokenizer_folder,
            masked=True,
        )


def _report(asked: int, documents: Index, chat: Index) -> dict[str, Any]:
    return {
        "vocab_size": documents.vocab_size,
        "vocab_size_asked": asked,
        "documents": {
            split: {
                "documents": entry.documents,
                "bytes": entry.bytes,
                "tokens": entry.tokens,
                "bytes_per_token": round(entry.bytes / max(1, entry.tokens), 4),
            }
            for split, entry in documents.splits.items()
        },
        "chat": {
            split: {
                "conversations": entry.documents,
                "bytes": entry.bytes,
                "tokens": entry.tokens,
                "target_tokens": entry.target_tokens,
                "target_share": round(entry.target_tokens / max(1, entry.tokens), 4),
            }
            for split, entry in chat.splits.items()
        },
    }


def _metrics(report: Mapping[str, Any]) -> dict[str, float]:
    """The report as flat numbers."""
    metrics = {"vocab_size": report["vocab_size"]}
    for kind in ("documents", "chat"):
        for split, sizes in report[kind].items():
            metrics |= {f"{kind}_{split}_{name}": value for name, value in sizes.items()}
    return metrics
