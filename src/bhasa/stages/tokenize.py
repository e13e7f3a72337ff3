"""Stage 2: from documents and conversations to a tokenizer and the token streams that training reads."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bhasa.errors import UserError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from bhasa.tokens.config import TokenizeConfig
    from bhasa.tokens.finished import FinishedFile, WorkFolder
    from bhasa.tokens.shard_writer import TokenDocument
    from bhasa.tokens.shards import Index
    from bhasa.tokens.tokenizing import Each
    from bhasa.tracking import Tracker


def command(
    params: Annotated[Path, typer.Option(help="File with the section `tokenize`.")],
    hardware: Annotated[Path, typer.Option(help="Hardware profile: what encodes the documents.")],
    documents: Annotated[Path, typer.Option(help="Folder of documents: Parquet files per split.")],
    chat: Annotated[Path, typer.Option(help="Folder of conversations: JSON lines per split.")],
    tokenizer: Annotated[Path, typer.Option(help="Folder to write: the tokenizer.")],
    tokens: Annotated[Path, typer.Option(help="Folder to write `documents` and `chat` in: token streams.")],
    report: Annotated[Path, typer.Option(help="File to write: sizes of the vocabulary and of every split.")],
) -> None:
    """Learn or take over a tokenizer, and turn documents and conversations into tokens."""
    from bhasa.stages import read_data_executor, read_init_from, tracked
    from bhasa.tokens.config import TokenizeConfig

    config = TokenizeConfig.load(params, "tokenize")
    executor, workers = read_data_executor(hardware)
    with tracked("tokenize", params) as tracker:
        run(
            config,
            executor=executor,
            workers=workers,
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
    executor: str = "processes",
    workers: int = 1,
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
    `init_from` is taken where there is one. Missing or broken input is a `UserError`. Interrupted and started
    again, it goes on at the file of documents that it was at. Here the tokenizer's own threads encode, on a
    cluster (`executor` is `ray`) as many machines as there are files, up to `workers`.
    """
    from bhasa.dataset import SPLITS
    from bhasa.journal import publish, require_space, write_json
    from bhasa.stages import run_folders
    from bhasa.tokens import tokenizer_files
    from bhasa.tokens.corpus import count_bytes, count_conversations
    from bhasa.tokens.finished import WorkFolder
    from bhasa.unfinished import locked

    sizes: dict[str, int] = {split: count_bytes(documents, split) for split in SPLITS}
    conversations = sum(count_conversations(chat, split) for split in SPLITS)
    require_space(tokens, sum(sizes.values()), "writing the tokens")  # 2 bytes for about 3 bytes of text
    given = _given(config, init_from)
    with locked(run_folders("tokenize") / _fingerprint(config, given, documents)) as folder:
        work = WorkFolder(folder)
        made = given or _learned(config, documents, sizes["train"], work.tokenizer)
        with _opened(executor, workers) as each:
            results = _encode_documents(work, made, documents, sizes, each)
        _require_exact(results, config, init_from)
        with (
            publish(tokenizer) as tokenizer_draft,
            publish(tokens / "documents") as documents_draft,
            publish(tokens / "chat") as chat_draft,
        ):
            tokenizer_files.save(made, tokenizer_draft)
            chat_index = _write_chat(chat_draft, made, chat, tokenizer_draft, conversations)
            shutil.move(work.tokens, documents_draft)
            documents_index = _write_index(documents_draft, made, tokenizer_draft, results)
            values = _report(config, made, results, documents_index, documents_draft, chat_index)
    write_json(report, values)
    metrics = _metrics(values)
    tracker.log_input("documents", documents, "tokenizing")
    tracker.log_input("chat", chat, "tokenizing")
    tracker.log_metrics(metrics)
    tracker.log_file(report)
    return metrics


def _given(config: TokenizeConfig, init_from: Path | None) -> Tokenizer | None:
    """A tokenizer that is there already; None: one is to be learned."""
    from bhasa.tokens import kinds
    from bhasa.tokens.foreign_tokenizer import open_foreign

    if init_from is None:
        return None if kinds.learns(config.tokenizer) else kinds.make(config.tokenizer, ())
    tokenizer = open_foreign(init_from).tokenizer
    print(
        f"tokenize: the {tokenizer.get_vocab_size():,} tokens of pretrain.init_from ({init_from}) are used, "
        "and tokenize.tokenizer is not",
        file=sys.stderr,
    )
    return tokenizer


def _fingerprint(config: TokenizeConfig, given: Tokenizer | None, documents: Path) -> str:
    from bhasa.dataset import SPLITS
    from bhasa.tokens.corpus import document_files
    from bhasa.tokens.finished import fingerprint

    facts = {"config": config.as_mapping(), "given": given.to_str() if given else None}
    return fingerprint(facts, [path for split in SPLITS for path in document_files(documents, split)])


def _learned(config: TokenizeConfig, folder: Path, size: int, finished: Path) -> Tokenizer:
    """Learned from the train split in `folder`, or before an interruption, and kept in `finished`."""
    from bhasa.journal import publish
    from bhasa.progress import progress
    from bhasa.tokens import kinds, sample, tokenizer_files
    from bhasa.tokens.shards import TOKENIZER_FILE

    if finished.is_dir():
        return tokenizer_files.load(finished / TOKENIZER_FILE)
    if not size:
        raise UserError(f"{folder}: the train split has no text; add documents to `ingest.sources`")
    drawn = sample.draw(folder, size, config.max_bytes)
    if drawn.below is not None:
        print("tokenize: the tokenizer is learned from a sample of the documents", file=sys.stderr)
    with progress("learning the tokenizer", min(size, config.max_bytes) / 1e6, "MB") as shown:
        made = kinds.make(config.tokenizer, _shown(drawn.texts(), shown.advance))
    with publish(finished) as draft:
        tokenizer_files.save(made, draft)
    found, asked = made.get_vocab_size(), kinds.largest_size(config.tokenizer)
    if found < asked and config.tokenizer.kind == "bpe":
        print(
            f"tokenize.tokenizer.vocab_size: {asked:,} asked for, the text gives {found:,} tokens",
            file=sys.stderr,
        )
    return made


def _shown(texts: Iterator[str], advance: Callable[[float], None]) -> Iterator[str]:
    for text in texts:
        yield text
        advance(len(text) / 1e6)


@contextmanager
def _opened(executor: str, workers: int) -> Iterator[Each | None]:
    """What applies a function to many files elsewhere; None: this process does."""
    if executor == "processes":
        yield None
        return
    from bhasa.ray_cluster import RayCluster

    with RayCluster(workers) as cluster:
        yield cluster.map


def _encode_documents(
    work: WorkFolder, tokenizer: Tokenizer, folder: Path, sizes: Mapping[str, int], each: Each | None
) -> dict[str, list[FinishedFile]]:
    from bhasa.progress import progress
    from bhasa.tokens.tokenizing import tokenize_split

    with progress("encoding documents", sum(sizes.values()) / 1e6, "MB") as shown:
        return {
            split: tokenize_split(
                work, tokenizer, folder, split, lambda size: shown.advance(size / 1e6), each
            )
            for split in sizes
        }


def _require_exact(
    results: Mapping[str, Sequence[FinishedFile]], config: TokenizeConfig, init_from: Path | None
) -> None:
    """Refuse or report documents that decoding does not give back; a model's own tokenizer may lose some."""
    from bhasa.tokens.finished import total

    tally = total([file for files in results.values() for file in files])
    if not tally.inexact:
        return
    found = f"{tally.inexact:,} of {tally.documents:,} documents are not given back exactly by the tokenizer"
    if init_from is None and not getattr(config.tokenizer, "allow_loss", False):
        raise UserError(f"tokenize: {found}; choose another, or set tokenize.tokenizer.allow_loss: true")
    print(f"tokenize: {found}", file=sys.stderr)


def _write_index(
    draft: Path, tokenizer: Tokenizer, folder: Path, results: Mapping[str, Sequence[FinishedFile]]
) -> Index:
    from bhasa.tokens.shards import write_index

    return write_index(
        draft,
        {split: [shard for file in files for shard in file.shards] for split, files in results.items()},
        vocab_size=tokenizer.get_vocab_size(),
        tokenizer=folder,
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


def _report(
    config: TokenizeConfig,
    tokenizer: Tokenizer,
    results: Mapping[str, Sequence[FinishedFile]],
    documents: Index,
    folder: Path,
    chat: Index,
) -> dict[str, Any]:
    from bhasa.tokens.statistics import chat_report, documents_report, vocabulary_report

    size = tokenizer.get_vocab_size()
    return {
        "vocab_size": size,
        "vocab_size_asked": getattr(config.tokenizer, "vocab_size", size),
        **documents_report(results),
        "chat": chat_report(chat),
        "vocabulary": vocabulary_report(tokenizer, documents, folder),
    }


def _metrics(report: Mapping[str, Any]) -> dict[str, float]:
    """The report as flat numbers."""
    metrics = {"vocab_size": report["vocab_size"], "inexact_documents": report["round_trip"]["inexact"]}
    for kind in ("documents", "chat"):
        for split, sizes in report[kind].items():
            metrics |= {f"{kind}_{split}_{name}": value for name, value in sizes.items()}
    for domain, sizes in report["train_by_domain"].items():
        metrics[f"bytes_per_token_{domain}"] = sizes["bytes_per_token"]
    for name in ("unused_share", "single_byte_share"):
        metrics[name] = report["vocabulary"][name]
    return metrics
