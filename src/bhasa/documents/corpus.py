"""From partitions to the documents and conversations that are kept, and an account of each partition.

A text is known by the SHA-256 of its cleaned form, so equal texts count once, wherever they come from; the
first in the order of sources and partitions is the one kept. A document's `group` decides its split. It is
the document itself unless the record names one or `ingest.split_by` does. After the last `add` come, in this
order, `drop_near_duplicates`, `divide`, `make_pairs` and `make_continuations`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Self

from bhasa.dataset import SPLITS, Document
from bhasa.documents.accounts import Account
from bhasa.documents.config import IngestConfig
from bhasa.documents.contamination import Signed, contamination
from bhasa.documents.continuations import continuations
from bhasa.documents.dividing import divide
from bhasa.documents.leaving_out import leave_out
from bhasa.documents.questions import ask
from bhasa.documents.records import (
    Conversation,
    Outcome,
    Partition,
    Preference,
    Refused,
    skipped,
)
from bhasa.documents.signature import runs_of_words, signature
from bhasa.documents.splits import split_of
from bhasa.documents.spool import Spool
from bhasa.documents.wire import Result
from bhasa.progress import progress

MAX_DETAILS = 20  # of one account


class Corpus:
    """What is kept so far, in the file `spool` until the block ends; `add` takes one partition more."""

    def __init__(self, config: IngestConfig, spool: Path) -> None:
        self.config = config
        self._splits: dict[str, str] = {}  # of groups that no hash places
        self._spool = Spool(spool, self._split_of)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.__exit__()

    def add(self, partition: Partition, results: Iterable[Result]) -> Account:
        kept, same_as = False, ""
        whole = skipped("nothing in it")
        parts: list[str] = []
        more = 0
        for result in results:
            found = self._keep(result)
            if found is None:
                kept = True
            elif isinstance(found, str):
                same_as = same_as or found
            elif not found.part:
                whole = found
            elif len(parts) < MAX_DETAILS:
                parts.append(f"{found.part}: {found.reason}")
            else:
                more += 1
        details = (*parts, f"{more} more") if more else tuple(parts)
        return _account(partition, kept, same_as, whole, details)

    def documents(self, split: str) -> Iterator[Document]:
        """In the order of their ids."""
        return self._spool.documents(split)

    def conversations(self, split: str) -> Iterator[Conversation]:
        """In the order of their ids."""
        return self._spool.conversations(split)

    def preferences(self, split: str) -> Iterator[Preference]:
        """In the order of their ids."""
        return self._spool.preferences(split)

    def count_documents(self) -> dict[str, tuple[int, int]]:
        """Of each split that has any: documents and bytes."""
        return self._spool.count_documents()

    def count_conversations(self) -> dict[str, int]:
        """Of each split that has any."""
        return self._spool.count_conversations()

    def count_preferences(self) -> dict[str, int]:
        """Of each split that has any."""
        return self._spool.count_preferences()

    def drop_near_duplicates(self) -> None:
        """Leave out what is nearly the same as an earlier document, where that is asked for.

        Raises `UserError` when too much of a source would be lost.
        """
        if self.config.near_duplicates is not None:
            leave_out(self._spool, self.config.near_duplicates)

    def divide(self) -> bool:
        """Divide each document where there are too few for all splits; whether it was done."""
        self._splits = divide(self._spool, self.config)
        return bool(self._splits)

    def contamination(self) -> dict[str, Any]:
        """How much of the held-out documents stands in train, with near duplicates and without."""
        held_out = {split: self._signed(split) for split in SPLITS if split != "train"}
        return contamination(held_out, self._signed("train"))

    def make_pairs(self) -> None:
        """Add question and answer pairs from Python documents, up to `chat.max_pairs`.

        A pair is of its document's group, so that fine-tuning never sees what the base model is tested on.
        """
        total = sum(count for count, _ in self.count_documents().values())
        with progress("making chat pairs", total, "documents") as bar:
            for document in self._spool.documents():
                for pair in ask(document, max_answer_characters=self.config.chat.max_answer_characters):
                    self._spool.add_conversation(pair, document.group, made=True)
                bar.advance(1)
        self._spool.drop_made(self.config.chat.max_pairs)

    def make_continuations(self) -> int:
        """Add pairs of each text's own pieces where there is nothing to tune or to choose by; how many.

        Of each split up to its share of `chat.max_pairs`, from the documents with the first ids.
        """
        counts = self.count_conversations()
        if counts.get("train") and counts.get("validation"):
            return 0
        chat, made = self.config.chat, 0
        for split, (_, size) in self.count_documents().items():
            most = max(1, chat.max_pairs * size // self._bytes()) if chat.max_pairs else 0
            for pair, group in islice(self._continuations(split), most):
                made += self._spool.add_conversation(pair, group, made=True)
        return made

    def _continuations(self, split: str) -> Iterator[tuple[Conversation, str]]:
        for document in self._spool.documents(split):
            size = self.config.chat.max_answer_characters // 2  # a question and its answer are as long
            for pair in continuations(document.text, max_characters=size):
                yield pair, document.group

    def _bytes(self) -> int:
        return sum(size for _, size in self.count_documents().values())

    def _signed(self, split: str) -> Iterator[Signed]:
        if self._splits:
            for part in self.documents(split):
                yield Signed(part.media_type, runs_of_words(signature(part.text.encode())), left_out=False)
        else:
            for media_type, found, left_out in self._spool.signed_texts(split):
                yield Signed(media_type, runs_of_words(found), bool(left_out))

    def _split_of(self, group: str) -> str:
        return self._splits.get(group) or split_of(group, self.config)

    def _keep(self, result: Result) -> Refused | str | None:
        """None when it is new; else why it is not wanted, or the name of what it equals."""
        match result.found:
            case Refused() as refusal:
                return refusal
            case Conversation() as record:
                return None if self._spool.add_conversation(record, record.id) else "earlier conversations"
            case Preference() as record:
                return None if self._spool.add_preference(record) else "earlier preferences"
            case prepared:
                return self._spool.add(prepared.document, prepared.signature)


def _account(
    partition: Partition, kept: bool, same_as: str, whole: Refused, details: tuple[str, ...]
) -> Account:
    account = partial(Account, partition.name, media_type=partition.media_type, bytes=partition.size)
    if kept:
        return account(Outcome.KEPT, details=details)
    if same_as:
        return account(Outcome.DUPLICATE, reason="equal text", details=(f"same as {same_as}", *details))
    return account(whole.outcome, reason=whole.reason, details=details)
