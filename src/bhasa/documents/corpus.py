"""From partitions to the documents and conversations that are kept, and an account of each partition.

A text is known by the SHA-256 of its cleaned form, so equal texts count once, wherever they come from; the
first in the order of sources and partitions is the one kept. A document's `group` decides its split. It is
the document itself unless the record names one or `ingest.split_by` does. After the last `add` come, in this
order, `drop_near_duplicates`, `divide`, `make_pairs` and `make_continuations`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Self

from bhasa.dataset import SPLITS, Document
from bhasa.documents.accounts import Account, Accounts
from bhasa.documents.config import IngestConfig
from bhasa.documents.contamination import Signed, contamination
from bhasa.documents.continuations import continuations
from bhasa.documents.database import Database
from bhasa.documents.dividing import divide
from bhasa.documents.dropped import DroppedTexts
from bhasa.documents.leaving_out import leave_out
from bhasa.documents.questions import ask
from bhasa.documents.records import Conversation, Partition, Preference, Refused
from bhasa.documents.signature import runs_of_words, signature
from bhasa.documents.splits import split_of
from bhasa.documents.spool import Spool
from bhasa.documents.tally import Tally
from bhasa.documents.wire import Result
from bhasa.progress import progress


class Corpus:
    """What is kept so far and the accounts of it, in a file that outlives the block."""

    def __init__(self, config: IngestConfig, path: Path, identity: str = "") -> None:
        self.config, self.path = config, path
        self._splits: dict[str, str] = {}  # of groups that no hash places
        self._database = Database(path, identity)
        self._open()

    def _open(self) -> None:
        self._spool = Spool(self._database, self._split_of)
        self.accounts = Accounts(self._database)
        self.dropped = DroppedTexts(self._database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.__exit__()

    def add(self, partition: Partition, results: Iterable[Result], place: int = 0) -> Account:
        """One partition more, of the source at `place` in the config."""
        tally = Tally()
        for result in results:
            verdict = self._keep(result)
            tally.add(result, verdict)
            if verdict is not None:
                self.dropped.add(partition.name, result, verdict)
        account = tally.account(place, partition)
        self.accounts.add(account)
        return account

    def clear(self) -> None:
        self._database.clear()
        self._open()

    def commit(self) -> None:
        """What was added so far outlives this process."""
        self._database.commit()

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

    def count_cleaned(self) -> Mapping[str, int]:
        """What the steps of cleaning counted in the documents, by step."""
        return self._spool.count_cleaned()

    def drop_near_duplicates(self) -> None:
        """Leave out what is nearly the same as an earlier document, where that is asked for.

        Raises `UserError` when too much of a source would be lost.
        """
        if self.config.near_duplicates is not None:
            leave_out(self._spool, self.config.near_duplicates)
            self.accounts.settle()

    def divide(self) -> bool:
        """Divide each document where there are too few for all splits; whether it was done."""
        self._splits = divide(self._spool, self.config)
        return bool(self._splits)

    def contamination(self) -> dict[str, Any]:
        """How much of the held-out documents stands in train, with near duplicates and without."""
        held_out = {split: self._signed(split) for split in SPLITS if split != "train"}
        return contamination(held_out, self._signed("train"))

    def make_pairs(self) -> None:
        """Add question and answer pairs from Python documents until there are `chat.max_pairs`.

        A pair is of its document's group, so that fine-tuning never sees what the base model is tested on.
        """
        chat, made = self.config.chat, 0
        with progress("making chat pairs", chat.max_pairs, "pairs") as bar:
            for document in self._spool.shuffled_documents("python") if chat.max_pairs else ():
                for pair in ask(document, max_answer_characters=chat.max_answer_characters):
                    is_new = self._spool.add_conversation(pair, document.group, made=True)
                    made += is_new
                    bar.advance(is_new)
                if made >= chat.max_pairs:
                    break
        self._spool.drop_made(chat.max_pairs)

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
                return (
                    None if self._spool.add_conversation(record, record.group_id) else "earlier conversations"
                )
            case Preference() as record:
                return None if self._spool.add_preference(record) else "earlier preferences"
            case prepared:
                return self._spool.add(prepared, len(self.accounts), result.bytes)
